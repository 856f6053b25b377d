"""The calls on pending entries: looked at without what they hold, handed on, set aside; consumers removed."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.support.http import KEY, STREAM, M, S, problem, token

GROUP = STREAM | {"group": "g"}
NOBODY = GROUP | {"consumer": "nobody"}
SECRET = "s3cret-token"


async def post(http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with http.post(path, json=body) as response:
        assert (response.status, response.content_type) == (200, "application/json"), await response.text()
        answer: dict[str, Any] = await response.json()
    return answer


async def look(http: aiohttp.ClientSession, **params: Any) -> dict[str, Any]:
    async with http.get("/v1/pending", params=GROUP | params) as response:
        assert (response.status, response.content_type) == (200, "application/json"), await response.text()
        text = await response.text()
        assert SECRET not in text
        page: dict[str, Any] = await response.json()
    assert set(page) == {"pending", "nextAfter"}
    assert all(set(entry) == {"entryId", "consumer", "idleSeconds", "deliveries"} for entry in page["pending"])
    return page


@pytest.fixture
async def delivered(http: aiohttp.ClientSession) -> list[str]:
    """Ids of five entries that are pending for the consumer `one`."""
    ids = []
    for _ in range(5):
        async with http.post("/v1/tokens", json=token(SECRET)) as response:
            ids.append((await response.json())["entryId"])
    async with http.put("/v1/groups", json=GROUP) as response:
        assert response.status == 201
    assert len((await post(http, "/v1/messages/read", GROUP | {"consumer": "one"}))["messages"]) == 5
    return ids


async def test_pending_entries_come_in_pages(http: aiohttp.ClientSession, delivered: list[str]) -> None:
    """The lowest ids first, `nextAfter` leading from page to page and ending with the last one."""
    found, after = [], {}
    for _ in range(3):
        page = await look(http, limit=2, **after)
        found += page["pending"]
        after = {"after": page["nextAfter"]}
    assert after == {"after": None}
    assert [entry["entryId"] for entry in found] == delivered
    assert {(entry["consumer"], entry["deliveries"]) for entry in found} == {("one", 1)}
    assert all(0 <= entry["idleSeconds"] < 60 for entry in found)
    whole = await look(http, limit=5)
    assert (len(whole["pending"]), whole["nextAfter"]) == (5, None)
    assert await look(http, consumer="nobody") == {"pending": [], "nextAfter": None}


async def test_entries_are_handed_on(http: aiohttp.ClientSession, delivered: list[str]) -> None:
    """To a consumer that gets them with its next read; what is not pending is not counted."""
    claim = GROUP | {"consumer": "two", "entryIds": [*delivered[:2], "1-1"]}
    assert await post(http, "/v1/pending/claim", claim) == {"claimed": 2}
    assert [entry["consumer"] for entry in (await look(http))["pending"]] == ["two", "two", "one", "one", "one"]
    assert [entry["entryId"] for entry in (await look(http, consumer="two"))["pending"]] == delivered[:2]
    got = (await post(http, "/v1/messages/read", GROUP | {"consumer": "two"}))["messages"]
    assert [(each["entryId"], each["deliveryCount"]) for each in got] == [(entry_id, 2) for entry_id in delivered[:2]]


async def test_entries_are_set_aside_and_come_back(
    http: aiohttp.ClientSession, delivered: list[str], redis: Redis
) -> None:
    """Each of them once, with the reason that was given; `replay` makes them pending again."""
    bury = GROUP | {"entryIds": [*delivered[:2], delivered[0], "1-1"], "reason": "ticket 7"}
    assert await post(http, "/v1/dead-letters", bury) == {"buried": 2}
    assert [entry["entryId"] for entry in (await look(http))["pending"]] == delivered[2:]
    async with http.get("/v1/dead-letters", params={"group": "g"}) as response:
        letters = (await response.json())["deadLetters"]
    assert [(letter["entryId"], letter["reason"]) for letter in letters] == [
        (entry_id, "ticket 7") for entry_id in delivered[:2]
    ]
    assert await redis.xlen(KEY) == 5
    ids = [letter["id"] for letter in letters]
    assert await post(http, "/v1/dead-letters/replay", {"group": "g", "ids": ids}) == {"replayed": ids}
    assert len((await look(http))["pending"]) == 5
    assert await post(http, "/v1/dead-letters", GROUP | {"entryIds": delivered[:1]}) == {"buried": 1}


async def test_a_consumer_is_removed_once_it_has_nothing_pending(
    http: aiohttp.ClientSession, delivered: list[str]
) -> None:
    """Before, it is a problem with a code of its own, which names the consumer and takes nothing."""
    one = GROUP | {"consumer": "one"}
    async with http.post("/v1/consumers/remove", json=one) as response:
        document = await problem(response, 409, "consumer_busy")
        assert "one of g" in document["detail"]
    assert len((await look(http))["pending"]) == 5
    assert await post(http, "/v1/messages/ack", GROUP | {"entryIds": delivered}) == {"acknowledged": 5}
    assert await post(http, "/v1/consumers/remove", one) == {"removed": True}
    assert await post(http, "/v1/consumers/remove", one) == {"removed": False}
    async with http.get(f"/v1/streams/{S}/{M}") as response:
        assert (await response.json())["groups"][0]["consumers"] == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"after": "1"}, "invalid_id"),
        ({"after": ""}, "invalid_id"),
        ({"limit": "0"}, "invalid_message"),
        ({"limit": "1001"}, "invalid_message"),
        ({"consumer": "two words"}, "invalid_message"),
        ({"consumer": ""}, "invalid_message"),
        ({"group": ""}, "invalid_message"),
        ({"modelId": ""}, "invalid_message"),
    ],
)
async def test_what_it_does_not_take(http: aiohttp.ClientSession, params: dict[str, str], code: str) -> None:
    async with http.get("/v1/pending", params=GROUP | params) as response:
        await problem(response, 400, code)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/pending/claim", NOBODY | {"entryIds": []}, "invalid_message"),
        ("/v1/pending/claim", NOBODY | {"entryIds": ["1-1"] * 1001}, "invalid_message"),
        ("/v1/pending/claim", NOBODY | {"entryIds": ["x"]}, "invalid_id"),
        ("/v1/pending/claim", GROUP | {"entryIds": ["1-1"]}, "invalid_message"),
        ("/v1/dead-letters", GROUP | {"entryIds": ["1-1"], "reason": "x" * 257}, "invalid_message"),
        ("/v1/dead-letters", GROUP | {"entryIds": ["1"]}, "invalid_id"),
        ("/v1/consumers/remove", GROUP, "invalid_message"),
        ("/v1/consumers/remove", GROUP | {"consumer": "two words"}, "invalid_message"),
    ],
)
async def test_bodies_they_do_not_take(http: aiohttp.ClientSession, path: str, body: dict[str, Any], code: str) -> None:
    async with http.post(path, json=body) as response:
        await problem(response, 400, code)


async def test_without_a_group_each_says_so(http: aiohttp.ClientSession) -> None:
    async with http.get("/v1/pending", params=GROUP) as response:
        await problem(response, 404, "group_not_found")
    for path, body in (
        ("/v1/pending/claim", NOBODY | {"entryIds": ["1-1"]}),
        ("/v1/dead-letters", GROUP | {"entryIds": ["1-1"]}),
        ("/v1/consumers/remove", NOBODY),
    ):
        async with http.post(path, json=body) as response:
            await problem(response, 404, "group_not_found")
