"""The snapshot calls: what the last poll found, once and after every poll, and streams by their status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from rlb.domain.snapshot import Snapshot
from tests.conftest import OwnServer
from tests.support.http import KEY, NDJSON, STREAM, M, S, problem, session, token
from tests.support.sidecar import RunningSidecar, StartSidecar

PATIENCE_S = 15.0
FAST = {"interval_seconds": 0.1}


@pytest.fixture
async def watched(start_sidecar: StartSidecar) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a sidecar that polls ten times a second."""
    async with session(start_sidecar(monitor=FAST).path) as client:
        yield client


async def take(http: aiohttp.ClientSession, **params: Any) -> dict[str, Any]:
    async with http.get("/v1/snapshot", params=params) as response:
        assert (response.status, response.content_type) == (200, "application/json"), await response.text()
        snapshot: dict[str, Any] = await response.json()
    Snapshot.model_validate(snapshot)
    return snapshot


async def snapshot_with(http: aiohttp.ClientSession, streams: int) -> dict[str, Any]:
    """The first snapshot that knows so many streams."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            snapshot = await take(http)
            if snapshot["totals"]["streams"] == streams:
                return snapshot
            await asyncio.sleep(0.02)


async def produce(http: aiohttp.ClientSession, *texts: str, **more: Any) -> None:
    for text in texts:
        async with http.post("/v1/tokens", json=token(text, **more)) as response:
            assert response.status == 201, await response.text()


async def test_a_snapshot_tells_of_streams_groups_and_redis(watched: aiohttp.ClientSession) -> None:
    async with watched.put("/v1/groups", json=STREAM | {"group": "g"}) as response:
        assert response.status == 201
    await produce(watched, "a", "b", "c")
    async with asyncio.timeout(PATIENCE_S):
        while not (snapshot := await take(watched))["streams"] or snapshot["streams"][0]["length"] < 3:
            await asyncio.sleep(0.02)
    assert snapshot["sidecar"]["scope"] == "own"
    assert (snapshot["redis"]["up"], snapshot["redis"]["version"]) == (True, "valkey 9.1.2")
    assert abs(snapshot["redis"]["clockSkewSeconds"]) < 1
    (stream,) = snapshot["streams"]
    assert (stream["sessionId"], stream["modelId"], stream["key"], stream["length"]) == (S, M, KEY, 3)
    (group,) = stream["groups"]
    assert (group["group"], group["lag"], group["lagQuality"], group["status"]) == ("g", 3, "exact", "ok")
    assert group["lagSeconds"] > 0
    totals = snapshot["totals"]
    assert (totals["groups"], totals["lostUnread"], totals["unknownLag"]) == (1, 0, 0)
    assert totals["worstLagSeconds"] > 0


async def test_open_generations_are_told(watched: aiohttp.ClientSession) -> None:
    """With how many tokens, until they are complete."""

    async def body() -> AsyncIterator[bytes]:
        for text in ("a", "b"):
            yield json.dumps(token(text)).encode() + b"\n"
        await told.wait()
        yield json.dumps(token("c", complete="stop")).encode() + b"\n"

    told = asyncio.Event()
    asking = asyncio.create_task(watched.post("/v1/tokens", data=body(), headers={"content-type": NDJSON}))
    async with asyncio.timeout(PATIENCE_S):
        while not (generations := (await take(watched))["generations"]) or generations[0]["tokens"] < 2:
            await asyncio.sleep(0.02)
        (generation,) = generations
        assert (generation["sessionId"], generation["modelId"], generation["state"]) == (S, M, "active")
        told.set()
        async with await asking as response:
            await response.read()
        while (await take(watched))["generations"]:
            await asyncio.sleep(0.02)


async def test_the_worst_streams_come_first_and_no_more_than_asked_for(watched: aiohttp.ClientSession) -> None:
    """The totals are of all."""
    for number in range(5):
        where = {"sessionId": f"s-{number}"}
        async with watched.put("/v1/groups", json=STREAM | where | {"group": "g"}) as response:
            assert response.status == 201
        await produce(watched, *"abcdefgh"[: number + 1], **where)
        await asyncio.sleep(0.01)
    await snapshot_with(watched, 5)
    snapshot = await take(watched, limit=2)
    assert [stream["sessionId"] for stream in snapshot["streams"]] == ["s-0", "s-1"]  # whose entries wait for longest
    assert snapshot["totals"]["streams"] == 5
    assert (await take(watched, limit=0))["streams"] == []
    async with watched.get("/v1/snapshot", params={"limit": 10_001}) as response:
        await problem(response, 400, "invalid_message")


async def test_a_watcher_gets_a_line_after_every_poll(watched: aiohttp.ClientSession) -> None:
    await produce(watched, "a")
    async with watched.get("/v1/snapshot/watch", params={"limit": 5}) as response:
        assert (response.status, response.content_type) == (200, NDJSON)
        async with asyncio.timeout(PATIENCE_S):
            polls = {json.loads(await response.content.readline())["at"] for _ in range(5)}
        assert len(polls - {None}) >= 4


async def test_watching_ends_with_the_sidecar(start_sidecar: StartSidecar) -> None:
    """With a whole answer, not a broken one."""
    sidecar = start_sidecar(monitor=FAST)
    async with session(sidecar.path) as http, http.get("/v1/snapshot/watch") as response:
        await response.content.readline()
        sidecar.begin_stop()
        async with asyncio.timeout(PATIENCE_S):
            rest = await response.content.read()
        assert not rest or rest.endswith(b"\n")


async def test_without_redis_the_snapshot_says_so(own_server: OwnServer, start_sidecar: StartSidecar) -> None:
    """And keeps what was last seen; `at` tells how old it is."""
    server = own_server()
    sidecar = start_sidecar(url=server.url, monitor=FAST)
    async with session(sidecar.path) as http:
        await produce(http, "a")
        before = await snapshot_with(http, 1)
        server.kill()
        async with asyncio.timeout(PATIENCE_S):
            while (after := await take(http))["redis"]["up"]:
                await asyncio.sleep(0.02)
        assert after["redis"]["reason"]
        assert after["at"] >= before["at"]
        assert [stream["key"] for stream in after["streams"]] == [KEY]


async def test_streams_are_listed_by_the_status_of_their_groups(watched: aiohttp.ClientSession) -> None:
    async with watched.put("/v1/groups", json=STREAM | {"group": "g"}) as response:
        assert response.status == 201
    await produce(watched, "a", "b")
    await produce(watched, "a", sessionId="s-2")
    await snapshot_with(watched, 2)
    async with watched.post("/v1/streams/trim", json=STREAM | {"maxLength": 1}) as response:
        assert await response.json() == {"removed": 1}
    for status, keys in (("losing", [KEY]), ("ok", []), ("stalled", [])):
        async with watched.get("/v1/streams", params={"status": status}) as response:
            assert [stream["key"] for stream in (await response.json())["streams"]] == keys
    async with watched.get("/v1/streams", params={"status": "fine"}) as response:
        await problem(response, 400, "invalid_message")


async def test_with_the_monitor_off_there_is_nothing_to_tell(start_sidecar: StartSidecar) -> None:
    sidecar: RunningSidecar = start_sidecar(monitor={"scope": "off"})
    async with session(sidecar.path) as http:
        await produce(http, "a")
        snapshot = await take(http)
    assert (snapshot["at"], snapshot["streams"], snapshot["sidecar"]["scope"]) == (None, [], "off")
    assert snapshot["totals"]["tokensIn"] is None
