#!/usr/bin/env python3
"""Starts the real server on the tiny chat model and treats it as the world will: streams side by side, clients that
leave, wrong inputs, signals, idleness.

    python3 tests/e2e/server_e2e.py [--tare build/bin/tare] [--seconds 30]

The program is $TARE where the option is not given. Prints one line a check and 'N passed, N failed'; ends with 1 if one failed. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = "tiny-chat"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Server:
    """A running `tare serve`; `settings` are lines of its [server] table."""

    def __init__(self, tare: Path, settings: str = ""):
        self.folder = tempfile.TemporaryDirectory()
        config = Path(self.folder.name, "tare.toml")
        source = ROOT / "tests/golden/models" / MODEL
        config.write_text(f'[server]\nlisten = "127.0.0.1:0"\n{settings}\n[[model]]\nsource = "{source}"\n')
        self.process = subprocess.Popen(
            [tare, "serve", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self.port = 0
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        assert self.port, "".join(self.lines)
        threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True).start()

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, path: str, body=None, data: bytes | None = None) -> tuple[int, bytes]:
        connection = self.connect()
        try:
            payload = json.dumps(body).encode() if body is not None else data
            connection.request("POST" if payload is not None else "GET", path, payload)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def figure(self, name: str) -> float:
        text = self.ask("/metrics")[1].decode()
        return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)[1])

    def wait_figure(self, name: str, value: float, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while (found := self.figure(name)) != value:
            assert time.monotonic() < end, f"{name} is {found}, expected {value}"
            time.sleep(0.05)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def stop(self, how: int = signal.SIGTERM, seconds: float = 60) -> int:
        self.process.send_signal(how)
        return self.process.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def chat(tokens: int, **extra) -> dict:
    messages = [{"role": "user", "content": "Tell me a story."}]
    body = {"model": MODEL, "messages": messages, "max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    return {**body, **extra}


def events(body: bytes) -> list:
    parts = [part for part in body.decode().split("\n\n") if part and not part.startswith(":")]
    assert parts[-1] == "data: [DONE]", parts[-1]
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-1]]


def text_of(stream: list) -> str:
    return "".join(c["delta"].get("content") or "" for event in stream for c in event["choices"])


def raw(server: Server, data: bytes, timeout: float = 20) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


@check
def a_stream_says_what_a_plain_answer_says(server: Server, _):
    status, body = server.ask("/v1/chat/completions", chat(24))
    assert status == 200, body
    whole = json.loads(body)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    stream = events(server.ask("/v1/chat/completions", chat(24, **options))[1])
    assert text_of(stream) == whole["choices"][0]["message"]["content"]
    assert stream[-1]["usage"] == whole["usage"] and whole["usage"]["completion_tokens"] == 24


@check
def sixty_four_streams_at_once(server: Server, _):
    expected = text_of(events(server.ask("/v1/chat/completions", chat(64, stream=True))[1]))
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: server.ask("/v1/chat/completions", chat(64, stream=True)), range(64)))
    assert all(status == 200 for status, _ in answers)
    assert {text_of(events(body)) for _, body in answers} == {expected}, "a batch changed a greedy answer"
    server.wait_figure("tare_requests_running", 0)
    server.wait_figure("tare_state_pages_used", 0)


@check
def clients_that_leave_give_their_blocks_back(server: Server, _):
    before = server.figure("tare_requests_cancelled_total")
    for _ in range(8):
        connection = server.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(chat(1900, stream=True, n=2)))
        connection.getresponse().read(200)
        connection.close()
    server.wait_figure("tare_requests_running", 0)
    server.wait_figure("tare_state_pages_used", 0)
    assert server.figure("tare_requests_cancelled_total") > before


@check
def wrong_inputs_get_a_sentence(server: Server, _):
    long_text = "one two three four " * 5000
    bodies = [
        (b"{", 400, "JSON"),
        (b"[" * 100000, 400, "64 levels"),
        (b'{"model": "\xff"}', 400, "JSON"),
        (b'{"model": "\\u0000"}', 400, "U+0000"),
        (json.dumps({"model": "nope", "messages": [{"role": "user", "content": "x"}]}).encode(), 404, "nope"),
        (json.dumps(chat(4, temperature="hot")).encode(), 400, "temperature"),
        (json.dumps(chat(4, temprature=1)).encode(), 400, "did you mean 'temperature'"),
        (json.dumps(chat(4, tools=[{}])).encode(), 400, "tools"),
        (json.dumps(chat(4, logit_bias={"999999": 1})).encode(), 400, "logit_bias"),
        (json.dumps(chat(4, messages=[{"role": "user", "content": long_text}])).encode(), 400, "the model takes"),
        (b" " * (9 << 20), 413, "too large"),
    ]
    for data, status, words in bodies:
        found, body = server.ask("/v1/chat/completions", data=data)
        error = json.loads(body)["error"]
        assert found == status and words in error["message"], (data[:60], found, error)
    assert server.ask("/tokenize", {"prompt": "a story"})[0] == 200
    ids = json.loads(server.ask("/tokenize", {"prompt": "a story", "add_special_tokens": False})[1])["tokens"]
    assert json.loads(server.ask("/detokenize", {"tokens": ids})[1])["prompt"] == "a story"
    echoed = {"model": MODEL, "prompt": "a", "echo": True, "logprobs": 1}
    assert server.ask("/v1/completions", echoed)[0] == 400  # the engine gives no log probabilities of prompts


@check
def slow_clients_get_408(server: Server, tare: Path):
    with Server(tare, 'header_timeout = "300ms"\nbody_timeout = "300ms"') as quick:
        assert b" 408 " in raw(quick, b"GET /he")
        assert b" 408 " in raw(quick, b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert quick.stop() == 0


@check
def sigterm_lets_a_stream_end(server: Server, tare: Path):
    with Server(tare) as other:
        connection = other.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(chat(1500, stream=True)))
        response = connection.getresponse()
        first = response.read(300)
        other.process.send_signal(signal.SIGTERM)
        stream = events(first + response.read())
        assert stream[-1]["choices"][0]["finish_reason"] == "length"
        assert other.process.wait(30) == 0, "".join(other.lines)


@check
def sigterm_cancels_after_the_deadline(server: Server, tare: Path):
    with Server(tare, 'shutdown_deadline = "50ms"') as other:
        connections = []
        for _ in range(8):
            connection = other.connect()
            connection.request("POST", "/v1/chat/completions", json.dumps(chat(1900, stream=True, n=8)))
            connections.append(connection)
        responses = [connection.getresponse() for connection in connections]
        responses[0].read(100)
        began = time.monotonic()
        assert other.stop(signal.SIGTERM, 30) == 0
        assert time.monotonic() - began < 10


@check
def ctrl_c_ends_an_idle_server(server: Server, tare: Path):
    with Server(tare) as other:
        waiting = other.connect()
        waiting.request("GET", "/health")
        waiting.getresponse().read()
        began = time.monotonic()
        assert other.stop(signal.SIGINT, 10) == 0
        assert time.monotonic() - began < 3


@check
def memory_stays_flat(server: Server, _):
    end = time.monotonic() + server.seconds
    request = chat(48, stream=True, logprobs=True, top_logprobs=3, n=2)

    def client(index: int) -> int:
        done = 0
        while time.monotonic() < end:
            if (done + index) % 5 == 0:  # some leave early
                connection = server.connect()
                connection.request("POST", "/v1/chat/completions", json.dumps(request))
                connection.getresponse().read(50)
                connection.close()
            else:
                status, body = server.ask("/v1/chat/completions", request)
                assert status == 200 and events(body), body
            done += 1
        return done

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(client, i) for i in range(8)]
        time.sleep(server.seconds / 3)
        early = server.resident_kib()
        done = sum(run.result() for run in runs)
    late = server.resident_kib()
    print(f"        {done} requests, {early} KiB after a third, {late} KiB at the end")
    assert late - early < 8192, f"grew from {early} to {late} KiB"


@check
def an_idle_server_sleeps(server: Server, _):
    server.wait_figure("tare_requests_running", 0)
    idle = [server.connect() for _ in range(16)]
    for connection in idle:
        connection.connect()
    time.sleep(0.5)
    before = server.cpu_seconds()
    time.sleep(5)
    used = (server.cpu_seconds() - before) / 5
    print(f"        {100 * used:.2f} % of a core")
    assert used < 0.01
    for connection in idle:
        connection.close()


@check
def the_server_still_answers(server: Server, _):
    assert server.ask("/ready")[0] == 200
    assert server.stop() == 0, "".join(server.lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tare", type=Path, default=os.environ.get("TARE", ROOT / "build/bin/tare"))
    parser.add_argument("--seconds", type=float, default=30, help="of the memory check")
    args = parser.parse_args()
    failed = 0
    with Server(args.tare) as server:
        server.seconds = args.seconds
        for function in CHECKS:
            name = function.__name__.replace("_", " ")
            try:
                function(server, args.tare)
                print(f"ok      {name}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
