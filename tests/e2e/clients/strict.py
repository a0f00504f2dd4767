"""Checks raw JSON against the response types of the openai package more strictly than the package itself does.

The client ignores missing and unknown keys. Here a key that the type does not know is an error, so is a missing one that
OpenAI's specification requires, and types must match without coercion.
"""

from __future__ import annotations

import types
import typing

import pydantic
from openai.types import Completion, CompletionChoice, CompletionUsage, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage, ChatCompletionTokenLogprob
from openai.types.chat import chat_completion, chat_completion_chunk
from openai.types.chat.chat_completion_token_logprob import TopLogprob

# Required by the specification although nullable: the generated types give them a default and so cannot tell.
NULLABLE_REQUIRED = {
    chat_completion.Choice: {"logprobs"},
    chat_completion.ChoiceLogprobs: {"content", "refusal"},
    chat_completion_chunk.Choice: {"finish_reason"},
    chat_completion_chunk.ChoiceLogprobs: {"content", "refusal"},
    ChatCompletionMessage: {"content", "refusal"},
    ChatCompletionTokenLogprob: {"bytes"},
    TopLogprob: {"bytes"},
    CompletionChoice: {"logprobs"},
    ChatCompletion: {"usage"},
    Completion: {"usage"},
    ChatCompletionChunk: set(),
    CompletionUsage: set(),
    Model: set(),
}


def problems(raw, annotation, path: str = "") -> list[str]:
    """What is wrong with `raw` as a value of `annotation`: keys only, see `check` for the values."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return problems_of_object(raw, annotation, path)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return problems(raw, arguments[0], path)
    if origin in (list, typing.List) and isinstance(raw, list):
        return [p for i, item in enumerate(raw) for p in problems(item, arguments[0], f"{path}[{i}]")]
    if origin in (typing.Union, types.UnionType):
        if raw is None and type(None) in arguments:
            return []
        found = [problems(raw, a, path) for a in arguments if a is not type(None)]
        return min(found, key=len)
    return []


def problems_of_object(raw, model: type[pydantic.BaseModel], path: str) -> list[str]:
    if not isinstance(raw, dict):
        return [f"{path or 'the body'} is no object"]
    found = [f"{path}.{key} is not in {model.__name__}" for key in raw if key not in model.model_fields]
    for name, field in model.model_fields.items():
        if name in raw:
            found += problems(raw[name], field.annotation, f"{path}.{name}")
        elif field.is_required() or name in NULLABLE_REQUIRED.get(model, set()):
            found.append(f"{path}.{name} is missing")
    return found


def check(raw, model: type[pydantic.BaseModel]) -> None:
    """Raises AssertionError unless `raw` is exactly a `model`."""
    found = problems(raw, model)
    assert not found, "; ".join(found)
    model.model_validate(raw, strict=True)


def check_error(raw, status: int) -> dict:
    """OpenAI's error shape: an object `error` with message, type, param and code, the last two nullable."""
    assert isinstance(raw, dict) and set(raw) == {"error"}, f"status {status}: the body is {raw!r}"
    error = raw["error"]
    assert set(error) == {"message", "type", "param", "code"}, f"status {status}: error has {sorted(error)}"
    assert isinstance(error["message"], str) and error["message"], error
    assert isinstance(error["type"], str) and error["type"], error
    assert error["param"] is None or isinstance(error["param"], str), error
    assert error["code"] is None or isinstance(error["code"], str), error
    return error
