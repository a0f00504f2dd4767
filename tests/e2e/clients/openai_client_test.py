#!/usr/bin/env python3
"""Runs the official openai client for Python, unchanged, against a server.

    python openai_client_test.py http://127.0.0.1:8080/v1 [--model NAME] [--api-key KEY]

Works with any model whose greedy text runs to 24 tokens. Prints one line a check and 'N passed, N failed'; ends with 1
if one failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import traceback
import urllib.error
import urllib.request
from dataclasses import dataclass

import openai
import strict
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Tell me a story about a small robot by the sea."},
]
PROMPT = "Once upon a time there was a small robot"
TOKENS = 24
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@dataclass
class Server:
    client: openai.OpenAI
    base_url: str
    api_key: str
    model: str

    def raw(self, path: str, body=None, data: bytes | None = None, root: bool = False) -> tuple[int, bytes]:
        """Status and body of a request made without the client; `root` leaves the /v1 out."""
        base = self.base_url.removesuffix("/v1") if root else self.base_url
        payload = json.dumps(body).encode() if body is not None else data
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.api_key}"}
        request = urllib.request.Request(base + path, data=payload, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def chat(self, **extra):
        options = {"model": self.model, "messages": MESSAGES, "max_completion_tokens": TOKENS, "temperature": 0}
        return self.client.chat.completions.create(**{**options, **extra})

    def chat_body(self, **extra) -> dict:
        return {"model": self.model, "messages": MESSAGES, "max_completion_tokens": TOKENS, "temperature": 0, **extra}

    def complete(self, **extra):
        options = {"model": self.model, "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0}
        return self.client.completions.create(**{**options, **extra})


def events_of(body: bytes) -> list[dict]:
    """The JSON of every SSE event; the stream must end with [DONE]."""
    lines = [line for line in body.decode().split("\n\n") if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines), lines[:3]
    assert lines[-1] == "data: [DONE]", lines[-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def piece_of(text: str) -> str:
    """Two characters from the middle that are real ones: a tiny random model also writes bytes that are no text."""
    pieces = [text[i : i + 2] for i in range(len(text) // 3, len(text) - 1)]
    return next(p for p in pieces if "\ufffd" not in p)


def check_usage(usage, most: int = TOKENS) -> None:
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= most, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


def expect(error_type, call, *words: str) -> openai.APIStatusError:
    """The error that `call` raises, which must have OpenAI's shape and name every word in its message or param."""
    try:
        call()
    except error_type as error:
        body = strict.check_error(json.loads(error.response.text), error.status_code)
        for word in words:
            named = re.search(rf"\b{re.escape(word)}\b", body["message"])
            assert named or word == body["param"], f"no {word!r} in {body}"
        return error
    raise AssertionError(f"expected {error_type.__name__}, the call succeeded")


@check
def models_are_listed(server: Server) -> None:
    models = server.client.models.list()
    assert server.model in [m.id for m in models.data]
    status, body = server.raw("/models")
    raw = json.loads(body)
    assert status == 200 and set(raw) == {"object", "data"} and raw["object"] == "list", raw
    for entry in raw["data"]:
        strict.check(entry, Model)
    assert server.client.models.retrieve(server.model).id == server.model
    expect(openai.NotFoundError, lambda: server.client.models.retrieve("no-such-model"), "no-such-model")


@check
def chat_answers(server: Server) -> None:
    answer = server.chat()
    assert answer.model == server.model
    assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    check_usage(answer.usage)


@check
def chat_json_is_strictly_valid(server: Server) -> None:
    for extra in ({}, {"logprobs": True, "top_logprobs": 2}, {"n": 2, "temperature": 1, "seed": 1}):
        status, body = server.raw("/chat/completions", server.chat_body(**extra))
        assert status == 200, body
        strict.check(json.loads(body), ChatCompletion)


@check
def chat_streams_the_same_text(server: Server) -> None:
    whole = server.chat()
    chunks = list(server.chat(stream=True, stream_options={"include_usage": True}))
    assert len({c.id for c in chunks}) == 1 and len({c.created for c in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert finishes == [whole.choices[0].finish_reason], finishes
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(c.usage is None for c in chunks[:-1])


@check
def stream_json_is_strictly_valid(server: Server) -> None:
    for extra in ({}, {"logprobs": True, "top_logprobs": 1}, {"stream_options": {"include_usage": True}}):
        status, body = server.raw("/chat/completions", server.chat_body(stream=True, **extra))
        assert status == 200, body
        events = events_of(body)
        for event in events:
            strict.check(event, ChatCompletionChunk)
            if "stream_options" in extra:
                assert "usage" in event, event
        assert ("stream_options" in extra) == (events[-1]["choices"] == [])


@check
def several_choices(server: Server) -> None:
    answer = server.chat(n=2, temperature=1, seed=11)
    assert [c.index for c in answer.choices] == [0, 1]
    assert answer.choices[0].message.content != answer.choices[1].message.content
    check_usage(answer.usage, 2 * TOKENS)
    texts = ["", ""]
    for chunk in server.chat(n=2, temperature=1, seed=11, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [c.message.content for c in answer.choices], (texts, answer.choices)


@check
def logprobs_are_those_of_the_choice(server: Server) -> None:
    answer = server.chat(logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert answer.usage.completion_tokens - 1 <= len(tokens) <= answer.usage.completion_tokens
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        best = [t.logprob for t in token.top_logprobs]
        assert best == sorted(best, reverse=True)
        assert abs(token.logprob - best[0]) < 1e-4, "greedy decoding takes the likeliest token"
    text = answer.choices[0].message.content
    joined = b"".join(bytes(t.bytes) for t in tokens)
    if "\ufffd" not in text:
        assert joined.decode() == text, (joined, text)
    assert server.chat().choices[0].logprobs is None


@check
def stop_strings_cut_the_text(server: Server) -> None:
    text = server.chat().choices[0].message.content
    middle = piece_of(text)
    for stop in (middle, [middle, "never to be seen"]):
        answer = server.chat(stop=stop)
        assert answer.choices[0].message.content == text[: text.index(middle)], (answer.choices[0], text, middle)
        assert answer.choices[0].finish_reason == "stop"
    streamed = server.chat(stop=middle, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed) == text[: text.index(middle)]


@check
def seeds_decide(server: Server) -> None:
    def text(seed: int) -> str:
        return server.chat(temperature=1, seed=seed).choices[0].message.content

    assert text(5) == text(5)
    assert len({text(seed) for seed in (1, 2, 3)}) > 1


@check
def token_limits_hold(server: Server) -> None:
    for name in ("max_completion_tokens", "max_tokens"):
        body = {"model": server.model, "messages": MESSAGES, "temperature": 0, name: 3}
        answer = server.client.chat.completions.create(**body)
        assert answer.usage.completion_tokens <= 3
        assert answer.choices[0].finish_reason == "length", answer.choices[0]


@check
def logit_bias_forbids(server: Server) -> None:
    first = server.chat(max_completion_tokens=1, logprobs=True, top_logprobs=2)
    entry = first.choices[0].logprobs.content[0]
    if "\ufffd" in entry.token:
        return  # half a character: the token does not survive as text, so its id cannot be asked for
    body = {"model": server.model, "prompt": entry.token, "add_special_tokens": False}
    status, answer = server.raw("/tokenize", body, root=True)
    assert status == 200, answer
    ids = json.loads(answer)["tokens"]
    assert len(ids) == 1, (entry.token, ids)
    other = server.chat(max_completion_tokens=1, logprobs=True, top_logprobs=2, logit_bias={str(ids[0]): -100})
    assert other.choices[0].logprobs.content[0].token != entry.token


@check
def completions_answer_and_stream(server: Server) -> None:
    answer = server.complete()
    assert answer.choices[0].text and answer.choices[0].finish_reason in ("stop", "length")
    check_usage(answer.usage)
    chunks = list(server.complete(stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == answer.choices[0].text
    assert chunks[-1].usage == answer.usage
    text = answer.choices[0].text
    middle = piece_of(text)
    assert server.complete(stop=[middle]).choices[0].text == text[: text.index(middle)]
    choices = server.complete(n=2, temperature=1, seed=3).choices
    assert [c.index for c in choices] == [0, 1] and choices[0].text != choices[1].text


@check
def completion_json_is_strictly_valid(server: Server) -> None:
    body = {"model": server.model, "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0}
    for extra in ({}, {"logprobs": 2}):
        status, raw = server.raw("/completions", {**body, **extra})
        assert status == 200, raw
        strict.check(json.loads(raw), Completion)
    logprobs = json.loads(raw)["choices"][0]["logprobs"]
    sizes = {key: len(logprobs[key]) for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset")}
    assert len(set(sizes.values())) == 1, sizes
    for i, top in enumerate(logprobs["top_logprobs"]):
        # The best two, and the token itself where it is neither; texts that are half a character may coincide.
        assert 1 <= len(top) <= 3, top
        assert abs(max(top.values()) - logprobs["token_logprobs"][i]) < 1e-4
    status, raw = server.raw("/completions", {**body, "stream": True})
    assert status == 200, raw
    for event in events_of(raw):
        # The client reads these chunks as Completion too; only the last has a reason to finish.
        event["choices"] = [{**c, "finish_reason": c["finish_reason"] or "length"} for c in event["choices"]]
        strict.check({"usage": None, **event}, Completion)


@check
def unknown_model_is_404(server: Server) -> None:
    expect(openai.NotFoundError, lambda: server.chat(model="no-such-model"), "no-such-model")
    expect(openai.NotFoundError, lambda: server.complete(model="no-such-model"), "no-such-model")


@check
def unimplemented_fields_are_named(server: Server) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    expect(openai.BadRequestError, lambda: server.chat(tools=[tool]), "tools")
    expect(openai.BadRequestError, lambda: server.chat(response_format=schema), "response_format")
    messages = [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, image]}]
    expect(openai.BadRequestError, lambda: server.chat(messages=messages), "image_url")


@check
def text_parts_are_text(server: Server) -> None:
    parts = [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in MESSAGES]
    assert server.chat(messages=parts).choices[0].message.content == server.chat().choices[0].message.content


@check
def wrong_values_are_named(server: Server) -> None:
    expect(openai.BadRequestError, lambda: server.chat(temperature="hot"), "temperature")
    expect(openai.BadRequestError, lambda: server.chat(temperature=-1), "temperature")
    expect(openai.BadRequestError, lambda: server.chat(top_p=1.5), "top_p")
    expect(openai.BadRequestError, lambda: server.chat(n=0), "n")
    expect(openai.BadRequestError, lambda: server.chat(messages=[]), "messages")
    expect(openai.BadRequestError, lambda: server.chat(messages=[{"role": "wizard", "content": "hi"}]), "role")
    for data in (b"{", b"[]", b"", b'{"model": 7}', b"[" * 100000):
        status, body = server.raw("/chat/completions", data=data)
        assert status == 400, (data[:20], status, body)
        strict.check_error(json.loads(body), status)


@check
def a_prompt_too_long_is_refused_with_both_numbers(server: Server) -> None:
    def call():
        server.chat(messages=[{"role": "user", "content": "one two three four " * 20000}])

    error = expect(openai.BadRequestError, call)
    numbers = [w for w in error.message.replace(",", "").split() if w.strip(".;:").isdigit()]
    assert len(numbers) >= 2, error.message


@check
def unknown_paths_and_methods_have_the_error_shape(server: Server) -> None:
    status, body = server.raw("/no/such/path")
    assert status == 404, status
    strict.check_error(json.loads(body), status)
    status, body = server.raw("/chat/completions")
    assert status == 405, status
    strict.check_error(json.loads(body), status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base_url", help="with /v1")
    parser.add_argument("--model", help="default: the first that the server lists")
    parser.add_argument("--api-key", default="none")
    args = parser.parse_args()
    client = openai.OpenAI(base_url=args.base_url, api_key=args.api_key, max_retries=0, timeout=120)
    model = args.model or client.models.list().data[0].id
    server = Server(client, args.base_url.rstrip("/"), args.api_key, model)
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function(server)
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc(limit=-2)}", flush=True)
    print(f"openai {openai.__version__}: {len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
