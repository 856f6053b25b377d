"""`GET /metrics`, on the TCP port and on the socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from rlb.api.problems import Header
from rlb.api.request import Request


class Scrape(Protocol):
    """What a scrape is answered with."""

    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str: ...
    @property
    def content_encoding(self) -> str | None: ...


Render = Callable[[str, str], Awaitable[Scrape]]
"""Gives the metrics for an Accept and an Accept-Encoding header."""


class MetricsRoute:
    """Answers scrapes."""

    def __init__(self, render: Render) -> None:
        self._render = render

    async def metrics(self, request: Request) -> None:
        """`GET /metrics`: the Prometheus text format, or OpenMetrics if that is asked for."""
        scrape = await self._render(request.header(b"accept") or "", request.header(b"accept-encoding") or "")
        headers: list[Header] = [(b"content-type", scrape.content_type.encode()), (b"vary", b"accept, accept-encoding")]
        if scrape.content_encoding is not None:
            headers.append((b"content-encoding", scrape.content_encoding.encode()))
        await request.respond(200, scrape.body, headers)
