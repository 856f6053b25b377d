"""Entries that were set aside after too many deliveries: listed, replayed and dropped."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.api.grouped import create, produce, read, settle
from tests.support.http import KEY, problem, session
from tests.support.sidecar import StartSidecar


async def test_dead_letters(start_sidecar: StartSidecar, redis: Redis) -> None:
    """After so many deliveries an entry is set aside with its reason; it can be listed, replayed and dropped."""
    sidecar = start_sidecar(groups={"max_deliveries": 2, "claim_idle_ms": 200})
    async with session(sidecar.path) as http:
        entry, other = await produce(http, "poison", "also")
        await create(http)
        for count in (1, 2):
            messages = await read(http, blockMs=10_000)
            assert {each["deliveryCount"] for each in messages} == {count}
            assert await settle(http, "nack", [entry, other], reason="cannot parse") == 2
        assert await read(http) == []
        async with http.get("/v1/dead-letters", params={"group": "g"}) as response:
            assert response.status == 200
            letters = (await response.json())["deadLetters"]
        assert [letter["entryId"] for letter in letters] == [entry, other]
        poison = letters[0]
        assert poison.pop("message")["token"] == "poison"
        letter_id, last_id = poison.pop("id"), letters[1]["id"]
        assert poison == {
            "stream": KEY,
            "entryId": entry,
            "consumer": "c",
            "deliveries": 2,
            "reason": "cannot parse",
        }
        pending: Any = await redis.xpending(KEY, "g")
        assert pending["pending"] == 0
        async with http.get("/v1/dead-letters", params={"group": "g", "after": letter_id, "limit": "1"}) as response:
            assert [letter["entryId"] for letter in (await response.json())["deadLetters"]] == [other]
        async with http.post("/v1/dead-letters/replay", json={"group": "g", "ids": [letter_id, "1-1"]}) as response:
            assert (response.status, await response.json()) == (200, {"replayed": [letter_id]})
        again = await read(http, blockMs=10_000)
        assert [(each["entryId"], each["deliveryCount"]) for each in again] == [(entry, 1)]
        async with http.post("/v1/dead-letters/drop", json={"group": "g", "ids": [last_id, "1-1"]}) as response:
            assert (response.status, await response.json()) == (200, {"dropped": 1})
        async with http.get("/v1/dead-letters", params={"group": "g"}) as response:
            assert await response.json() == {"deadLetters": []}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "invalid_message"),
        ({"group": "a b"}, "invalid_message"),
        ({"group": "g", "after": "x"}, "invalid_id"),
        ({"group": "g", "limit": "0"}, "invalid_message"),
        ({"group": "g", "limit": "1001"}, "invalid_message"),
        ({"group": "g", "limit": "-1"}, "invalid_message"),
        ({"group": "g", "limit": "٣"}, "invalid_message"),
    ],
    ids=str,
)
async def test_dead_letters_of_what(http: aiohttp.ClientSession, params: dict[str, str], code: str) -> None:
    """The page of dead letters keeps its parameters' rules."""
    async with http.get("/v1/dead-letters", params=params) as response:
        await problem(response, 400, code)


async def test_dead_letters_of_a_group_without_any(http: aiohttp.ClientSession) -> None:
    """A group that has none has an empty page; nothing can be replayed or dropped."""
    async with http.get("/v1/dead-letters", params={"group": "g"}) as response:
        assert await response.json() == {"deadLetters": []}
    for call, answer in (("replay", {"replayed": []}), ("drop", {"dropped": 0})):
        async with http.post(f"/v1/dead-letters/{call}", json={"group": "g", "ids": ["1-1"]}) as response:
            assert (response.status, await response.json()) == (200, answer)
