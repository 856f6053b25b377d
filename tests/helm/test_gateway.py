"""The gateway of the example beside vLLM: each token of a model server's answer stands in Redis, and is told on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from redis.asyncio import Redis

from tests.servers.process import RedisServer
from tests.support.example_chart import EXAMPLES
from tests.support.http import session
from tests.support.openai_chunks import ROLE, USAGE, chat
from tests.support.sidecar import RunningSidecar, settings_of
from tests.support.started import free_port

SCRIPT = EXAMPLES / "vllm" / "files" / "gateway.py"
MODEL = "mistralai/Mistral-7B-Instruct-v0.3"
ANSWER = (ROLE, chat("Streams"), chat(" of"), chat(" tokens"), chat("", finish="length"), USAGE, b"[DONE]")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PATIENCE_S = 30.0

Gateway = tuple[aiohttp.ClientSession, subprocess.Popen[bytes]]
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def stream(request: web.Request, *chunks: bytes) -> web.StreamResponse:
    """Chunks as a model server streams them."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for chunk in chunks:
        await response.write(b"data: %b\n\n" % chunk)
        await asyncio.sleep(0.01)
    return response


class ModelServer:
    """A model server that answers as it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], str | None]] = []
        self.answer: Answering = lambda request: stream(request, *ANSWER)
        self.is_healthy = True

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.Response(status=200 if self.is_healthy else 503)
        self.asked.append((request.path, await request.json(), request.headers.get("traceparent")))
        return await self.answer(request)


@pytest.fixture
async def model_server() -> AsyncIterator[tuple[ModelServer, str]]:
    server = ModelServer()
    runner = web.ServerRunner(web.Server(server.serve))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield server, f"http://{host}:{port}"
    await runner.cleanup()


@pytest.fixture
def sidecar(valkey: RedisServer, short_tmp: Path) -> Iterator[RunningSidecar]:
    with RunningSidecar(settings_of(short_tmp / "rlb.sock", valkey.url)) as running:
        yield running


@pytest.fixture
async def gateway(model_server: tuple[ModelServer, str], sidecar: RunningSidecar) -> AsyncIterator[Gateway]:
    """The script as a process, as in its container, and a client of it."""
    port = free_port()
    environment = {"UPSTREAM": model_server[1], "PORT": str(port), "RLB_SOCKET__PATH": str(sidecar.path)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RLB_")}
    with subprocess.Popen([sys.executable, str(SCRIPT)], env={**kept, **environment}) as process:
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
                until_s = time.monotonic() + PATIENCE_S
                while not await is_ready(client):
                    assert process.poll() is None
                    assert time.monotonic() < until_s
                    await asyncio.sleep(0.05)
                yield client, process
        finally:
            process.kill()


async def is_ready(client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get("/readyz") as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


def question(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "What is it?"}], **more}


async def messages(redis: Redis, session_id: str, *, until: int = 0) -> list[dict[str, Any]]:
    """The messages of a session, once there are enough of them."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            rows = await redis.xrange(f"llm:stream:{session_id}:{MODEL}")
            if len(rows) >= until:
                return [json.loads(fields[b"data"]) for _, fields in rows]
            await asyncio.sleep(0.02)


async def test_tokens_stand_in_order_with_the_reason_of_the_end(
    gateway: Gateway, model_server: tuple[ModelServer, str], sidecar: RunningSidecar, redis: Redis
) -> None:
    client, _ = gateway
    async with client.post("/v1/chat/completions", json=question(), headers={"traceparent": TRACEPARENT}) as response:
        assert response.status == 202
        told = await response.json()
    assert told["model"] == MODEL
    found = await messages(redis, told["session"], until=4)
    assert [message["token"] for message in found] == ["Streams", " of", " tokens", ""]
    assert [message["metadata"]["sequence"] for message in found] == [1, 2, 3, 4]
    assert found[-1]["payload"]["finishReason"] == "length"
    # The caller's span, and the time of the request, go along.
    (asked,) = model_server[0].asked
    assert asked == ("/v1/chat/completions", question(stream=True), TRACEPARENT)
    _, fields = (await redis.xrange(f"llm:stream:{told['session']}:{MODEL}"))[0]
    assert fields[b"traceparent"].decode() == TRACEPARENT
    async with session(sidecar.path) as http, http.get("/metrics") as response:
        metrics = await response.text()
    first_tokens = [line for line in metrics.splitlines() if "time_to_first_token_seconds_count" in line]
    assert [line.rpartition(" ")[2] for line in first_tokens] == ["1.0"]


@pytest.mark.parametrize("earlier", [0, 1])
async def test_who_asks_for_a_stream_gets_one(gateway: Gateway, redis: Redis, earlier: int) -> None:
    """In the format of the model server, and only the new answer of a session that has had others."""
    client, _ = gateway
    headers = {"X-Session-Id": "chat-42"}
    for _ in range(earlier + 1):
        async with client.post("/v1/chat/completions", json=question(stream=True), headers=headers) as response:
            assert (response.status, response.headers["X-Session-Id"]) == (200, "chat-42")
            told = (await response.text()).split("\n\n")
    assert told[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in told[:-2]]
    choices = [chunk["choices"][0] for chunk in chunks]
    assert "".join(choice["delta"]["content"] for choice in choices) == "Streams of tokens"
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "length"]
    assert len(await messages(redis, "chat-42")) == 4 * (earlier + 1)


async def test_an_answer_that_breaks_off_ends_as_an_error(
    gateway: Gateway, model_server: tuple[ModelServer, str], redis: Redis
) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = await stream(request, ROLE, chat("Streams"))
        assert request.transport is not None
        request.transport.abort()
        return response

    client, _ = gateway
    model_server[0].answer = break_off
    async with client.post("/v1/chat/completions", json=question(stream=True)) as response:
        session_id = response.headers["X-Session-Id"]
        assert '"finish_reason": "error"' in await response.text()
    found = await messages(redis, session_id)
    assert [message["payload"].get("finishReason") for message in found] == [None, "error"]


async def test_a_refusal_of_the_model_server_is_told_to_all(
    gateway: Gateway, model_server: tuple[ModelServer, str], redis: Redis
) -> None:
    """To the caller in the server's words, and to who follows the session's stream by its end."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "too long", "code": 400}}, status=400)

    client, _ = gateway
    model_server[0].answer = refuse
    async with client.post("/v1/chat/completions", json=question(), headers={"X-Session-Id": "s"}) as response:
        assert (response.status, await response.json()) == (400, {"error": {"message": "too long", "code": 400}})
    (end,) = await messages(redis, "s")
    assert end["payload"]["finishReason"] == "error"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", {}),
        (b"{}", {}),
        (b"[]", {}),
        (json.dumps(question(n=2)).encode(), {}),
        (json.dumps(question()).encode(), {"X-Session-Id": "a:b"}),
    ],
    ids=["no JSON", "no model", "no object", "two choices", "no session id"],
)
async def test_what_is_wrong_with_a_request_is_said(
    gateway: Gateway, model_server: tuple[ModelServer, str], body: bytes, headers: dict[str, str]
) -> None:
    client, _ = gateway
    async with client.post("/v1/chat/completions", data=body, headers=headers) as response:
        assert response.status == 400
        assert "not understood" in await response.text()
    assert model_server[0].asked == []


async def test_it_is_ready_when_the_model_server_is(gateway: Gateway, model_server: tuple[ModelServer, str]) -> None:
    client, _ = gateway
    model_server[0].is_healthy = False
    assert not await is_ready(client)
    async with client.get("/livez") as response:
        assert response.status == 200


async def test_an_answer_under_way_may_finish(
    gateway: Gateway, model_server: tuple[ModelServer, str], redis: Redis
) -> None:
    """SIGTERM takes no answer away, and nothing more keeps the process."""
    may_end = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = await stream(request, ROLE, chat("Streams"))
        await may_end.wait()
        for chunk in ANSWER[2:]:
            await response.write(b"data: %b\n\n" % chunk)
        return response

    client, process = gateway
    model_server[0].answer = slow
    async with client.post("/v1/chat/completions", json=question()) as response:
        told = await response.json()
    await messages(redis, told["session"], until=1)
    process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.3)
    assert process.poll() is None
    may_end.set()
    found = await messages(redis, told["session"], until=4)
    assert found[-1]["payload"]["finishReason"] == "length"
    assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
