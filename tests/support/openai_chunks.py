"""Chunks of OpenAI's streaming format, as vLLM sends them."""

from __future__ import annotations

import json
from typing import Any


def chat(content: str | None = None, *, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    """A chunk of a chat completion as vLLM sends it."""
    delta = {key: value for key, value in {"content": content, **more}.items() if value is not None}
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, "stop_reason": None}
    return chunk("chat.completion.chunk", [choice])


def text(content: str, finish: str | None = None) -> bytes:
    """A chunk of a plain completion."""
    choice = {"index": 0, "text": content, "logprobs": None, "finish_reason": finish, "stop_reason": None}
    return chunk("text_completion", [choice])


def chunk(kind: str, choices: list[Any], **more: Any) -> bytes:
    body = {"id": "chatcmpl-1", "object": kind, "created": 1732276800, "model": "llama", "choices": choices}
    return json.dumps(body | more).encode()


USAGE = chunk("chat.completion.chunk", [], usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})
ROLE = chat("", role="assistant")
