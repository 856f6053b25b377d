"""Operations on whole streams: create, list, look, trim, delete."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.support.http import KEY, NDJSON, STREAM, M, S, lines, problem, token

INFO = {
    "sessionId",
    "modelId",
    "key",
    "length",
    "entriesAdded",
    "entriesTrimmed",
    "firstEntryId",
    "lastEntryId",
    "lastGeneratedId",
    "ageSeconds",
    "ttlSeconds",
    "maxLength",
    "retentionMs",
    "complete",
    "groups",
}
GROUP_INFO = {
    "group",
    "lag",
    "lagQuality",
    "lagUpperBound",
    "lagSeconds",
    "pending",
    "oldestPendingSeconds",
    "lastDeliveredId",
    "consumers",
}
HERE = f"/v1/streams/{S}/{M}"


async def produce(http: aiohttp.ClientSession, count: int, **more: Any) -> list[str]:
    body = lines([token(f"{number}", **more) for number in range(count)])
    async with http.post("/v1/tokens", data=body, headers={"Content-Type": NDJSON}) as response:
        return [json.loads(line)["entryId"] for line in (await response.read()).splitlines()]


async def info(http: aiohttp.ClientSession, path: str = HERE) -> dict[str, Any]:
    async with http.get(path) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
    assert set(answer) >= INFO
    assert all(set(group) >= GROUP_INFO for group in answer["groups"])
    return answer


async def keys(http: aiohttp.ClientSession, **params: Any) -> list[str]:
    """Keys of all pages."""
    found: list[str] = []
    while True:
        async with http.get("/v1/streams", params=params) as response:
            assert response.status == 200, await response.text()
            page = await response.json()
        assert set(page) == {"streams", "nextCursor"}
        assert all(set(stream) >= INFO for stream in page["streams"])
        assert len(page["streams"]) <= int(params.get("limit", 100))
        found += [stream["key"].removeprefix("llm:stream:") for stream in page["streams"]]
        if page["nextCursor"] is None:
            return found
        params = params | {"cursor": page["nextCursor"]}


async def test_create(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A stream is made once, empty and without any group; made again it is found."""
    for status in (201, 200):
        async with http.put("/v1/streams", json=STREAM) as response:
            assert (response.status, await response.json()) == (status, {"created": status == 201})
    assert await redis.xlen(KEY) == 0
    assert await redis.xinfo_groups(KEY) == []
    about = await info(http)
    assert (about["length"], about["lastGeneratedId"], about["firstEntryId"]) == (0, "0-0", None)


async def test_create_with_config(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A stream may have bounds and a group of its own, and its writers keep to them."""
    config = {"maxLength": 5, "retentionMs": 60_000, "consumerGroup": "g"}
    async with http.put("/v1/streams", json=STREAM | {"config": config}) as response:
        assert response.status == 201
    about = await info(http)
    assert (about["maxLength"], about["retentionMs"]) == (5, 60_000)
    assert [(group["group"], group["lag"]) for group in about["groups"]] == [("g", 0)]
    await produce(http, 500)
    assert await redis.xlen(KEY) < 500
    assert 0 < await redis.pttl(KEY) <= 60_000
    about = await info(http)
    assert (about["entriesAdded"], about["entriesTrimmed"]) == (500, 500 - about["length"])


@pytest.mark.parametrize(
    "config",
    [{"maxLength": -1}, {"maxLength": "many"}, {"retentionMs": 1.5}, {"consumerGroup": "a b"}, {"other": 1}, [], "x"],
    ids=str,
)
async def test_config_that_is_none(http: aiohttp.ClientSession, redis: Redis, config: Any) -> None:
    """Bounds that cannot be kept are refused, and no stream is made."""
    async with http.put("/v1/streams", json=STREAM | {"config": config}) as response:
        assert (await problem(response, 400, "invalid_message"))["detail"].startswith("config")
    assert await redis.exists(KEY) == 0


async def test_info(http: aiohttp.ClientSession) -> None:
    """One stream, with its groups, their lag and their consumers, as it is at that moment."""
    ids = await produce(http, 4)
    async with http.put("/v1/groups", json=STREAM | {"group": "g"}) as response:
        assert response.status == 201
    read = STREAM | {"group": "g", "consumer": "c", "count": 1}
    async with http.post("/v1/messages/read", json=read) as response:
        assert len((await response.json())["messages"]) == 1
    about = await info(http)
    assert (about["sessionId"], about["modelId"], about["key"]) == (S, M, KEY)
    assert (about["length"], about["entriesAdded"], about["entriesTrimmed"]) == (4, 4, 0)
    assert (about["firstEntryId"], about["lastEntryId"], about["lastGeneratedId"]) == (ids[0], ids[3], ids[3])
    assert about["complete"] is False
    assert 0 <= about["ageSeconds"] < 60
    assert 0 < about["ttlSeconds"] <= 3600
    (group,) = about["groups"]
    assert (group["group"], group["lag"], group["lagQuality"]) == ("g", 3, "exact")
    assert (group["pending"], group["lastDeliveredId"]) == (1, ids[0])
    (consumer,) = group["consumers"]
    assert (consumer["consumer"], consumer["pending"]) == ("c", 1)
    await produce(http, 1, complete="stop")
    assert (await info(http))["complete"] is True


@pytest.mark.parametrize("model_id", ["llama3.1:8b", "meta-llama/Llama-3.1-8B-Instruct", "a/b/c:d", "m@v1~x=y+z"])
@pytest.mark.parametrize("is_escaped", [False, True])
async def test_model_ids_in_a_path(http: aiohttp.ClientSession, model_id: str, is_escaped: bool) -> None:
    """A model id is the rest of the path, with its slashes and colons, written plainly or escaped."""
    from yarl import URL

    body = {"sessionId": S, "modelId": model_id}
    async with http.put("/v1/streams", json=body) as response:
        assert response.status == 201
    name = "".join(f"%{ord(char):02X}" for char in model_id) if is_escaped else model_id
    path = URL(f"http://rlb/v1/streams/{S}/{name}", encoded=True)
    async with http.get(path) as response:
        assert (response.status, (await response.json())["modelId"]) == (200, model_id)
    async with http.delete(path) as response:
        assert response.status == 204
    async with http.get(path) as response:
        await problem(response, 410, "stream_gone")


@pytest.mark.parametrize("path", ["a:b/m", "a/m m", "a/{m}", f"{'s' * 129}/m", "a/%FF", "a/%00", "a/m%0A"])
async def test_ids_in_a_path_keep_their_rules(http: aiohttp.ClientSession, path: str) -> None:
    """Ids that break their rule are refused in a path as in a body, and not repeated in the problem."""
    for method in ("GET", "DELETE"):
        async with http.request(method, f"/v1/streams/{path}") as response:
            document = await problem(response, 400, "invalid_message")
            assert path not in document["detail"]


async def test_what_is_not_there(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Each call tells a stream that never was from one that is gone, and from a key that is none."""

    async def calls(model_id: str, status: int, code: str) -> None:
        path = f"/v1/streams/{S}/{model_id}"
        trim = {"sessionId": S, "modelId": model_id, "maxLength": 1}
        for method, url, body in (("GET", path, None), ("DELETE", path, None), ("POST", "/v1/streams/trim", trim)):
            if method == "DELETE" and code == "wrong_type":
                continue
            async with http.request(method, url, json=body) as response:
                await problem(response, status, code)

    await calls("never", 404, "stream_not_found")
    await produce(http, 1)
    async with http.delete(HERE) as response:
        assert response.status == 204
    await calls(M, 410, "stream_gone")
    await redis.set("llm:stream:s-1:text", "canary")
    await calls("text", 409, "wrong_type")
    async with http.put("/v1/streams", json={"sessionId": S, "modelId": "text"}) as response:
        await problem(response, 409, "wrong_type")
    async with http.put("/v1/groups", json={"sessionId": S, "modelId": "text", "group": "g"}) as response:
        await problem(response, 409, "wrong_type")


async def test_delete_leaves_what_is_no_stream(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A key that holds something else is not rlb's to delete."""
    await redis.set(KEY, "mine")
    async with http.delete(HERE) as response:
        await problem(response, 409, "wrong_type")
    assert await redis.get(KEY) == b"mine"


async def test_trim(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A trim keeps exactly so many, or those that are young enough, and says how many went."""
    await produce(http, 10)
    for body, removed in (({"maxLength": 4}, 6), ({"maxLength": 4}, 0), ({"olderThanMs": 60_000}, 0)):
        async with http.post("/v1/streams/trim", json=STREAM | body) as response:
            assert (response.status, await response.json()) == (200, {"removed": removed})
    await asyncio.sleep(0.05)
    async with http.post("/v1/streams/trim", json=STREAM | {"olderThanMs": 10}) as response:
        assert await response.json() == {"removed": 4}
    assert await redis.xlen(KEY) == 0


@pytest.mark.parametrize(
    "bounds", [{}, {"maxLength": 1, "olderThanMs": 1}, {"maxLength": -1}, {"olderThanMs": -1}, {"maxLength": "1x"}]
)
async def test_trim_takes_one_bound(http: aiohttp.ClientSession, bounds: dict[str, Any]) -> None:
    """Neither bound or both leaves open what is meant."""
    await produce(http, 1)
    async with http.post("/v1/streams/trim", json=STREAM | bounds) as response:
        await problem(response, 400, "invalid_message")


async def make(http: aiohttp.ClientSession, counts: dict[str, int], model_id: str = "m") -> None:
    bodies = [
        {"sessionId": name, "modelId": model_id, "token": "x"} for name, count in counts.items() for _ in range(count)
    ]
    async with http.post("/v1/tokens", data=lines(bodies), headers={"Content-Type": NDJSON}) as response:
        assert (await response.read()).count(b"entryId") == sum(counts.values())


async def test_list(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Streams page by page, each once, by key; those that others made among them, and no other keys."""
    await make(http, {f"s-{number:02}": 1 for number in range(23)})
    await redis.xadd("llm:stream:foreign:m", {"data": "{}"})
    await redis.xadd("llm:stream:no-model", {"data": "{}"})
    await redis.set("llm:stream:text:m", "x")
    wanted = ["foreign:m", *(f"s-{number:02}:m" for number in range(23))]
    assert await keys(http) == wanted
    for limit in (1, 7, 24, 25):
        assert await keys(http, limit=f"{limit}") == wanted


async def test_list_is_sorted(http: aiohttp.ClientSession) -> None:
    """By length, lag or pending the largest come first, over all pages."""
    await make(http, {"a": 2, "b": 5, "c": 3, "d": 1})
    for name in "abc":
        async with http.put("/v1/groups", json={"sessionId": name, "modelId": "m", "group": "g"}) as response:
            assert response.status == 201
    for name, count in (("a", 2), ("b", 1)):
        read = {"sessionId": name, "modelId": "m", "group": "g", "consumer": "c", "count": count}
        async with http.post("/v1/messages/read", json=read) as response:
            assert len((await response.json())["messages"]) == count
    for limit in ("1", "100"):
        assert await keys(http, sort="key", limit=limit) == ["a:m", "b:m", "c:m", "d:m"]
        assert await keys(http, sort="length", limit=limit) == ["b:m", "c:m", "a:m", "d:m"]
        assert await keys(http, sort="lag", limit=limit) == ["b:m", "c:m", "a:m", "d:m"]
        assert await keys(http, sort="pending", limit=limit) == ["a:m", "b:m", "c:m", "d:m"]
        assert sorted(await keys(http, sort="age", limit=limit)) == ["a:m", "b:m", "c:m", "d:m"]


async def test_list_of_a_model(http: aiohttp.ClientSession) -> None:
    """Only the streams of one model, whatever it is called."""
    for model_id in ("m", "org/m:8b", "mm"):
        await make(http, {"s": 1}, model_id)
    assert await keys(http, modelId="org/m:8b") == ["s:org/m:8b"]
    assert await keys(http, modelId="m") == ["s:m"]
    assert await keys(http, modelId="none") == []


async def test_nothing_to_list(http: aiohttp.ClientSession) -> None:
    """On an empty Redis there is an empty page."""
    assert await keys(http) == []


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "size"},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "9" * 5000},
        {"limit": ""},
        {"sort": "length", "cursor": "x"},
        {"sort": "length", "cursor": "9" * 10},
        {"modelId": "a b"},
        {"modelId": ""},
    ],
    ids=lambda params: str(params)[:40],
)
async def test_parameters_of_a_list(http: aiohttp.ClientSession, params: dict[str, str]) -> None:
    """Parameters beyond their rules are refused."""
    async with http.get("/v1/streams", params=params) as response:
        await problem(response, 400, "invalid_message")


@pytest.mark.parametrize("cursor", ["", "\x00", "ü", "llm:stream:zzz", "x" * 10_000])
async def test_a_key_cursor_may_be_any_text(http: aiohttp.ClientSession, cursor: str) -> None:
    """A cursor by key is a place in the order of keys, whether a stream stands there or not."""
    await make(http, {"a": 1})
    assert await keys(http, cursor=cursor) == ([] if cursor > "llm:stream:a:m" else ["a:m"])
