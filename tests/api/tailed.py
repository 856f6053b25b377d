"""A live tail as a reader sees it: as events or in lines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.support.http import NDJSON, STREAM, events, lines, token

Responses = AsyncIterator[aiohttp.ClientResponse]
IN_LINES = {"Accept": NDJSON}
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


async def produce(http: aiohttp.ClientSession, *tokens: str, complete: str | None = None) -> list[str]:
    """Entry ids of tokens; with `complete`, the last one ends the generation."""
    bodies = [token(text) for text in tokens]
    if complete is not None:
        bodies[-1]["complete"] = complete
    async with http.post("/v1/tokens", data=lines(bodies), headers={"Content-Type": NDJSON}) as response:
        return [json.loads(line)["entryId"] for line in (await response.read()).splitlines()]


@asynccontextmanager
async def tail(http: aiohttp.ClientSession, *, headers: Any = None, **params: str) -> Responses:
    async with http.get("/v1/tail", params=STREAM | params, headers=headers) as response:
        yield response


async def whole(response: aiohttp.ClientResponse) -> list[tuple[str, Any]]:
    """Name and data of every event, to the end."""
    return [(event.name, event.data) async for event in events(response)]


async def line(response: aiohttp.ClientResponse) -> Any:
    return json.loads(await response.content.readline())
