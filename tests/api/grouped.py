"""The calls of a consumer group, as most tests make them: one group and one consumer of one stream."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.support.http import STREAM, token

GROUP = STREAM | {"group": "g"}
READ = GROUP | {"consumer": "c"}


async def produce(http: aiohttp.ClientSession, *tokens: str, **more: Any) -> list[str]:
    """Entry ids of tokens."""
    ids = []
    for text in tokens:
        async with http.post("/v1/tokens", json=token(text, **more)) as response:
            assert response.status == 201
            ids.append((await response.json())["entryId"])
    return ids


async def create(http: aiohttp.ClientSession, status: int = 201, **more: Any) -> None:
    async with http.put("/v1/groups", json=GROUP | more) as response:
        assert response.status == status, await response.text()
        assert await response.json() == {"created": status == 201}


async def read(http: aiohttp.ClientSession, **more: Any) -> list[dict[str, Any]]:
    async with http.post("/v1/messages/read", json=READ | more) as response:
        assert (response.status, response.content_type) == (200, "application/json"), await response.text()
        answer = await response.json()
    assert set(answer) == {"messages"}
    messages: list[dict[str, Any]] = answer["messages"]
    assert all(set(each) == {"entryId", "deliveryCount", "message"} for each in messages)
    return messages


def tokens(messages: list[dict[str, Any]]) -> list[str]:
    return [each["message"]["token"] for each in messages]


async def settle(http: aiohttp.ClientSession, how: str, ids: list[str], **more: Any) -> int:
    async with http.post(f"/v1/messages/{how}", json=GROUP | {"entryIds": ids} | more) as response:
        assert response.status == 200, await response.text()
        answer = await response.json()
    assert set(answer) == {"acknowledged"}
    count: int = answer["acknowledged"]
    return count
