"""What probes are told: alive, ready, healthy, and why not; on the socket and on the TCP port."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.api.served import eventually
from tests.conftest import OwnServer
from tests.support.http import problem, session, token
from tests.support.sidecar import RunningSidecar, StartSidecar
from tests.support.started import free_port

NOWHERE = "unix:///tmp/rlb-nobody-listens-here"


async def ask(http: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, Any]]:
    async with http.get(path) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


def components(report: dict[str, Any]) -> dict[str, str]:
    return {component["name"]: component["state"] for component in report["components"]}


def reason_of(report: dict[str, Any], name: str) -> str | None:
    (reason,) = [component["reason"] for component in report["components"] if component["name"] == name]
    return None if reason is None else str(reason)


async def test_all_is_well(http: aiohttp.ClientSession) -> None:
    """With a Redis that answers, every probe is content."""
    before_s = time.time()
    for path in ("/livez", "/readyz", "/readyz?redis=1"):
        assert await ask(http, path) == (200, {"status": "ok"})
    status, report = await ask(http, "/healthz")
    assert (status, report["status"]) == (200, "ok")
    assert components(report) == {"redis": "up", "writes": "up", "monitor": "up", "socket": "up"}
    for component in report["components"]:
        assert set(component) == {"name", "state", "since", "reason"}
        assert component["reason"] is None
        assert before_s - 60 < component["since"] <= time.time()


async def test_redis_refuses_writes(start_sidecar: StartSidecar, own_server: OwnServer) -> None:
    """It answers, so nothing else is wrong; health says why messages are refused, and does not name their stream."""
    server = own_server(config=("maxmemory 1", "maxmemory-policy noeviction"))
    sidecar = start_sidecar(url=server.url, append={"deadline_ms": 200})
    async with session(sidecar.path) as http:
        async with http.post("/v1/tokens", json=token("t")) as response:
            assert response.status == 503
        status, report = await ask(http, "/healthz")
        assert (status, report["status"]) == (503, "degraded")
        assert components(report) == {"redis": "up", "writes": "down", "monitor": "up", "socket": "up"}
        assert reason_of(report, "writes") == "messages are refused, 1 so far: Redis is at maxmemory"
        assert (await ask(http, "/readyz?redis=1"))[0] == 200


async def test_redis_is_away(start_sidecar: StartSidecar) -> None:
    """Without Redis the sidecar lives and is ready, so that nothing restarts it; whoever asks for Redis is told."""
    sidecar = start_sidecar(url="redis://user:secret@127.0.0.1:1/0", is_redis_up=False)
    async with session(sidecar.path) as http:
        assert await ask(http, "/livez") == (200, {"status": "ok"})
        assert await ask(http, "/readyz") == (200, {"status": "ok"})
        status, answer = await ask(http, "/readyz?redis=1")
        assert status == 503
        assert answer["status"] != "ok"
        async with asyncio.timeout(15):
            while reason_of((await ask(http, "/healthz"))[1], "redis") is None:
                await asyncio.sleep(0.01)
        status, report = await ask(http, "/healthz")
        assert (status, report["status"]) == (503, "degraded")
        assert components(report) == {"redis": "down", "writes": "up", "monitor": "starting", "socket": "up"}
        reason = reason_of(report, "redis")
        assert "connect" in reason
        assert "secret" not in reason
        assert "user" not in reason


async def test_redis_comes_and_goes(own_server: Any, start_sidecar: StartSidecar) -> None:
    """The report follows Redis, and says since when."""
    server = own_server()
    sidecar = start_sidecar(url=server.url)
    async with session(sidecar.path) as http:

        async def becomes(wanted: int) -> dict[str, Any]:
            async with asyncio.timeout(20):
                while (await ask(http, "/healthz"))[0] != wanted:
                    await asyncio.sleep(0.01)
            (redis,) = [each for each in (await ask(http, "/healthz"))[1]["components"] if each["name"] == "redis"]
            return dict(redis)

        up = await becomes(200)
        stopped_s = time.time()
        server.kill()
        down = await becomes(503)
        assert up["since"] < stopped_s <= down["since"]
        assert down["reason"]
        server.start()
        again = await becomes(200)
        assert again["since"] >= down["since"]
        assert again["reason"] is None


async def test_the_sockets_file_is_gone(sidecar: RunningSidecar) -> None:
    """A sidecar whose socket was deleted under it says so to whoever still reaches it."""
    async with session(sidecar.path) as http:
        assert (await ask(http, "/livez"))[0] == 200
        sidecar.path.unlink()
        status, report = await ask(http, "/healthz")
        assert (status, components(report)["socket"]) == (503, "down")
        assert "removed" in (reason_of(report, "socket") or "")
        # Kubernetes asks at the port, and takes the pod out of service.
        assert await ask(http, "/readyz") == (503, {"status": "the socket is gone"})
        assert (await ask(http, "/livez"))[0] == 200


async def test_draining(start_sidecar: StartSidecar, redis: Redis) -> None:
    """While it drains it is alive but not ready: Kubernetes sends nothing new and restarts nothing."""
    port = free_port()
    sidecar = start_sidecar(metrics={"port": port}, drain_s=15.0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as tcp, session(sidecar.path) as http:
        # A request that waits for a message keeps the sidecar draining.
        await http.put("/v1/groups", json={"sessionId": "s", "modelId": "m", "group": "g"})
        body = {"sessionId": "s", "modelId": "m", "group": "g", "consumer": "c", "blockMs": 60_000}
        reading = asyncio.create_task(http.post("/v1/messages/read", json=body))
        async with asyncio.timeout(15):
            while 'rlb_ingest_connections{role="consumer"} 1.0' not in await (await tcp.get("/metrics")).text():
                await asyncio.sleep(0.01)
            sidecar.begin_stop()
            while (await ask(tcp, "/readyz"))[0] == 200:
                await asyncio.sleep(0.01)
        assert await ask(tcp, "/livez") == (200, {"status": "ok"})
        assert await ask(tcp, "/readyz") == (503, {"status": "draining"})
        assert (await ask(tcp, "/healthz"))[1]["status"] == "draining"
        await redis.xadd("llm:stream:s:m", {"data": "{}"})
        async with await reading as response:
            assert response.status == 200


async def test_tcp_port(start_sidecar: StartSidecar) -> None:
    """The TCP port answers probes and nothing else: no data and no operation is to be had there."""
    port = free_port()
    start_sidecar(metrics={"port": port})
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for path in ("/livez", "/readyz", "/healthz"):
            assert (await ask(http, path))[0] == 200
            async with http.post(path) as response:
                await problem(response, 405, "method_not_allowed")
        for path in ("/v1/streams", "/v1/tokens", "/v1/tail", "/openapi.json", "/docs"):
            async with http.get(path) as response:
                await problem(response, 404, "not_found")
        async with http.post("/v1/tokens", json=token()) as response:
            await problem(response, 404, "not_found")


@pytest.mark.parametrize("value", ["", "0", "2", "true"])
async def test_only_redis_1_asks_for_redis(start_sidecar: StartSidecar, value: str) -> None:
    """Any other value of the parameter is as if it were not there."""
    sidecar = start_sidecar(url=NOWHERE, is_redis_up=False)
    async with session(sidecar.path) as http:
        assert (await ask(http, f"/readyz?redis={value}"))[0] == 200


def test_a_loop_that_does_not_turn_is_not_alive(sidecar: RunningSidecar) -> None:
    """No answer comes until it turns again: the probe's timeout is what tells."""
    with sidecar.held(), sidecar.connect() as client:
        client.get("/livez")
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.receive()


async def test_the_time_since_when_is_that_of_the_change(own_server: OwnServer, start_sidecar: StartSidecar) -> None:
    """Also where nobody has asked in between."""
    server = own_server()
    sidecar = start_sidecar(url=server.url)
    killed_s = time.time()
    server.kill()
    assert eventually(lambda: sidecar.service.health._watched["redis"].last == "down")
    noticed_s = time.time()
    async with session(sidecar.path) as http, http.get("/healthz") as response:
        components = {each["name"]: each for each in (await response.json())["components"]}
    assert components["redis"]["state"] == "down"
    assert killed_s <= components["redis"]["since"] <= noticed_s
