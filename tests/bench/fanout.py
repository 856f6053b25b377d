"""Many subscribers of one stream: what they cost Redis."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.servers.process import RedisServer

MODEL = "llama3.1:8b"
TOKENS = 100


@dataclass(frozen=True)
class Fanout:
    """`reads` are the XREAD and XRANGE commands that Redis saw while the tokens flowed."""

    subscribers: int
    tokens: int
    reads: int
    wall_s: float

    def sentence(self) -> str:
        """The result in words."""
        per_second = self.subscribers * self.tokens / self.wall_s
        return (
            f"{self.subscribers} subscribers of one stream, {self.tokens} tokens: "
            f"{self.reads} reads at Redis while they flowed, {per_second:,.0f} deliveries/s"
        )


def _reads(server: RedisServer) -> int:
    """Calls of XREAD and XRANGE so far, from INFO commandstats."""
    stats = server.command("INFO", "commandstats").decode()
    calls = 0
    for line in stats.splitlines():
        name, _, rest = line.partition(":")
        if name in ("cmdstat_xread", "cmdstat_xrange"):
            calls += int(rest.partition("calls=")[2].partition(",")[0])
    return calls


async def fanout(server: RedisServer, socket_path: Path, subscribers: int) -> Fanout:
    """Open the tails, then produce one generation, and wait until all have its end."""
    connector = aiohttp.UnixConnector(str(socket_path), limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        where = {"sessionId": "fanout", "modelId": MODEL}
        await session.put("http://rlb/v1/streams", json=where)
        opened = asyncio.Semaphore(0)

        async def follow() -> None:
            async with session.get("http://rlb/v1/tail", params=where | {"from": "$"}) as response:
                opened.release()
                body = await response.read()
                if body.count(b"event: message") != TOKENS:
                    raise RuntimeError("a subscriber missed tokens")

        tails = [asyncio.create_task(follow()) for _ in range(subscribers)]
        for _ in tails:
            await opened.acquire()
        await asyncio.sleep(1)
        before, started_s = _reads(server), time.perf_counter()
        for index in range(TOKENS):
            line = where | {"token": " token"} | ({"complete": "stop"} if index == TOKENS - 1 else {})
            async with session.post("http://rlb/v1/tokens", json=line) as response:
                response.raise_for_status()
        await asyncio.gather(*tails)
        return Fanout(subscribers, TOKENS, _reads(server) - before, time.perf_counter() - started_s)
