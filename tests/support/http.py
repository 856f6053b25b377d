"""The app's side of the socket: sessions, problem documents, conversations in lines, and event streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from rlb.errors import BY_CODE

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
PATIENCE_S = 20.0

S, M = "s-1", "meta-llama/Llama-3.1-8B:free"
STREAM = {"sessionId": S, "modelId": M}
KEY = f"llm:stream:{S}:{M}"


def session(path: Path, **options: Any) -> aiohttp.ClientSession:
    """A client of the socket at `path`."""
    options.setdefault("timeout", aiohttp.ClientTimeout(total=PATIENCE_S))
    return aiohttp.ClientSession("http://rlb", connector=aiohttp.UnixConnector(path=str(path), limit=0), **options)


def token(text: str = "hi", **more: Any) -> dict[str, Any]:
    """A token request for the one stream of most tests."""
    return {**STREAM, "token": text, **more}


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of a response that has to be just this problem."""
    assert response.content_type == "application/problem+json", (response.status, await response.text())
    document: dict[str, Any] = json.loads(await response.read())
    assert (document["status"], document["code"]) == (status, code), document
    assert response.status == status
    kind = BY_CODE[code]
    assert (document["title"], document["type"]) == (kind.title, f"urn:rlb:problem:{code}")
    assert document["requestId"] == response.headers["X-Request-Id"]
    after_s = response.headers.get("Retry-After")
    assert after_s == (None if kind.retry_after_s is None else str(kind.retry_after_s))
    return document


def lines(bodies: list[Any]) -> bytes:
    """Objects as lines; bytes are taken as they are."""
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in bodies)


class Conversation:
    """One streamed request whose answer comes while it is still being sent."""

    def __init__(self, client: aiohttp.ClientSession, path: str, content_type: str = NDJSON, **params: str) -> None:
        self._client = client
        self._path = path
        self._headers = {"Content-Type": content_type}
        self._params = params
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.response: aiohttp.ClientResponse

    async def _body(self) -> AsyncIterator[bytes]:
        while (piece := await self._outgoing.get()) is not None:
            yield piece

    def say(self, *bodies: Any) -> None:
        """Send lines."""
        self.send(lines(list(bodies)))

    def send(self, piece: bytes) -> None:
        """Send bytes."""
        self._outgoing.put_nowait(piece)

    def finish(self) -> None:
        """End the request's body."""
        self._outgoing.put_nowait(None)

    async def hear(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next line of the answer."""
        async with asyncio.timeout(timeout_s):
            line = await self.response.content.readline()
        assert line.endswith(b"\n"), f"the answer ended after {line!r}"
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def rest(self) -> list[dict[str, Any]]:
        """All lines to the end of the answer."""
        async with asyncio.timeout(PATIENCE_S):
            return [json.loads(line) for line in (await self.response.read()).splitlines()]

    async def __aenter__(self) -> Self:
        self.send(b"\n")  # a blank line: aiohttp keeps the header back until it has a piece of the body
        request = self._client.post(self._path, data=self._body(), headers=self._headers, params=self._params)
        self.response = await request
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
        self.response.close()


class Event:
    """One event of an event stream."""

    def __init__(self, block: str) -> None:
        self.fields = dict(line.split(": ", 1) for line in block.removesuffix("\n\n").split("\n"))

    @property
    def id(self) -> str:
        return self.fields["id"]

    @property
    def name(self) -> str:
        return self.fields["event"]

    @property
    def data(self) -> Any:
        return json.loads(self.fields["data"])

    def __repr__(self) -> str:
        return f"Event({self.fields})"


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of an event stream, without its comments."""
    while True:
        async with asyncio.timeout(PATIENCE_S):
            try:
                block = await response.content.readuntil(b"\n\n")
            except asyncio.IncompleteReadError:
                return
        if not block:
            return
        if not block.startswith(b":"):
            yield Event(block.decode())
