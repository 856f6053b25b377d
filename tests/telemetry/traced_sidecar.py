"""Sidecars that are traced, and requests to them."""

from __future__ import annotations

import json
from typing import Any, Protocol

from redis.asyncio import Redis

from tests.support.http import session
from tests.support.otlp import Collector, Span
from tests.support.sidecar import RunningSidecar
from tests.support.traced import APP

TRACE, SPAN = APP.split("-")[1:3]
KEY = "llm:stream:s:m"


class StartTraced(Protocol):
    def __call__(self, **changes: Any) -> RunningSidecar: ...


def ended(sidecar: RunningSidecar, collector: Collector) -> list[Span]:
    """All spans, once the sidecar has ended."""
    sidecar.begin_stop()
    sidecar.wait()
    return collector.spans


async def carried(redis: Redis, key: str = KEY) -> list[str | None]:
    """The `traceparent` of each entry."""
    rows = await redis.xrange(key)
    return [fields[b"traceparent"].decode() if b"traceparent" in fields else None for _, fields in rows]


def line(session_id: str = "s", **members: Any) -> bytes:
    """One line of the hot path."""
    return json.dumps({"sessionId": session_id, "modelId": "m", **members}).encode() + b"\n"


async def post(sidecar: RunningSidecar, body: bytes, headers: dict[str, str], path: str = "/v1/tokens") -> str:
    """The answer to a request."""
    async with session(sidecar.path) as client, client.post(f"http://rlb{path}", data=body, headers=headers) as answer:
        text = await answer.text()
        assert answer.status in (200, 201), text
        return text


NDJSON = {"Content-Type": "application/x-ndjson"}
