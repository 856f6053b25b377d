"""Ways for an app to write the tokens of concurrent generations: through redis-py, and through the sidecar."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import redis
import redis.asyncio

SESSIONS = 64
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
BATCH = 16


def _entry(session: int, sequence: int) -> bytes:
    """The guide's message as an app that speaks to Redis itself would write it."""
    message = {
        "id": f"{session}-{sequence}",
        "sessionId": f"b-{session}",
        "modelId": MODEL,
        "token": " token",
        "metadata": {"timestamp": 1, "sequence": sequence, "isComplete": False, "model": MODEL},
        "payload": {"content": " token", "role": "assistant"},
    }
    return json.dumps(message).encode()


async def redis_py_asyncio(socket_path: Path, messages: int) -> None:
    """One XADD a token, awaited, from `SESSIONS` tasks: how most apps do it."""
    client = redis.asyncio.Redis(unix_socket_path=str(socket_path), max_connections=SESSIONS)

    async def generate(session: int) -> None:
        key = f"bench:{session}"
        for sequence in range(messages // SESSIONS):
            await client.xadd(key, {"data": _entry(session, sequence)}, maxlen=10_000, approximate=True)

    async with client:
        await asyncio.gather(*(generate(session) for session in range(SESSIONS)))


def redis_py_sync(socket_path: Path, messages: int) -> None:
    """One XADD a token, blocking."""
    with redis.Redis(unix_socket_path=str(socket_path)) as client:
        for sequence in range(messages):
            data = {"data": _entry(sequence % SESSIONS, sequence)}
            client.xadd(f"bench:{sequence % SESSIONS}", data, maxlen=10_000, approximate=True)


def redis_py_pipeline(socket_path: Path, messages: int) -> None:
    """Pipelines of `SESSIONS` tokens, one of each generation: the best that an app can do with redis-py."""
    with redis.Redis(unix_socket_path=str(socket_path)) as client:
        for sequence in range(messages // SESSIONS):
            with client.pipeline(transaction=False) as pipe:
                for session in range(SESSIONS):
                    data = {"data": _entry(session, sequence)}
                    pipe.xadd(f"bench:{session}", data, maxlen=10_000, approximate=True)
                pipe.execute()


async def sidecar_ndjson(socket_path: Path, messages: int) -> None:
    """NDJSON through the sidecar, in chunks of `BATCH` lines, acks read as they come."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(messages // SESSIONS):
            for start in range(0, SESSIONS, BATCH):
                lines = [
                    json.dumps({"sessionId": f"b-{session}", "modelId": MODEL, "token": " token"})
                    for session in range(start, start + BATCH)
                ]
                yield "\n".join((*lines, "")).encode()

    connector = aiohttp.UnixConnector(str(socket_path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post("http://rlb/v1/tokens", data=body(), headers={"content-type": "application/x-ndjson"}) as response,
    ):
        acks = 0
        async for chunk in response.content.iter_any():
            acks += chunk.count(b"\n")
    if acks != messages // SESSIONS * SESSIONS:
        raise RuntimeError(f"{acks} acks for {messages} messages")


async def sidecar_client(socket_path: Path, messages: int) -> None:
    """`rlb.Bridge`, one generation a session, a token at a time."""
    from rlb import Bridge

    async with Bridge(socket_path) as bridge:

        async def generate(session: int) -> None:
            async with bridge.generation(f"c-{session}", MODEL) as generation:
                for _ in range(messages // SESSIONS):
                    await generation.produce(" token")

        await asyncio.gather(*(generate(session) for session in range(SESSIONS)))
