"""What it costs to be seen: produce throughput with all telemetry on against none, in turn, in the same run."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

from tests.bench.measure import cpu_s
from tests.servers.process import RedisServer
from tests.support.started import free_port

SESSIONS = 64
BATCH = 16
GENERATION = 200
"""Tokens of a generation; then its session begins another."""
MODELS = 4
WARM_UP = 10_000
SETTLE_S = 2.0
"""After the warm-up, until the first exports and scrapes are over, for which much is loaded."""
PATIENCE_S = 30.0

OFF = {"RLB_MONITOR__SCOPE": "off", "RLB_METRICS__PORT": "0"}


@dataclass(frozen=True)
class Run:
    """One run: messages a second, and microseconds of the sidecar's CPU a message. `seen` is what onlookers got."""

    is_on: bool
    per_second: float
    sidecar_us: float
    seen: dict[str, int]


@dataclass(frozen=True)
class Observability:
    """All runs, on and off in turn."""

    messages: int
    runs: list[Run]

    def median(self, name: str, *, is_on: bool) -> float:
        """The median of a field over the runs of one sort."""
        return statistics.median(getattr(run, name) for run in self.runs if run.is_on == is_on)

    def sentences(self) -> Iterator[str]:
        """The result in words."""
        on, off = self.median("per_second", is_on=True), self.median("per_second", is_on=False)
        cpu_on, cpu_off = self.median("sidecar_us", is_on=True), self.median("sidecar_us", is_on=False)
        yield (
            "All telemetry on (OTLP metrics and traces, /metrics scraped and streams polled each second): "
            f"{on:,.0f} tokens/s, off: {off:,.0f} tokens/s, so {on / off:.1%}; "
            f"sidecar CPU {cpu_on:.1f} and {cpu_off:.1f} us a token"
        )


async def _produce(socket_path: Path, messages: int, run: int) -> None:
    """NDJSON through the sidecar: generations of `SESSIONS` sessions at once, acks read as they come."""
    total = messages - messages % SESSIONS

    async def body() -> AsyncIterator[bytes]:
        for number in range(total // SESSIONS):
            end = {"complete": "stop"} if number % GENERATION == GENERATION - 1 else {}
            for start in range(0, SESSIONS, BATCH):
                lines = [
                    json.dumps(
                        {"sessionId": f"o-{run}-{at}", "modelId": f"model-{at % MODELS}", "token": " token", **end}
                    )
                    for at in range(start, start + BATCH)
                ]
                yield "\n".join((*lines, "")).encode()

    headers = {"content-type": "application/x-ndjson"}
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket_path))) as session,
        session.post("http://rlb/v1/tokens", data=body(), headers=headers) as response,
    ):
        acks = 0
        async for chunk in response.content.iter_any():
            acks += chunk.count(b"\n")
    if acks != total:
        raise RuntimeError(f"{acks} acks for {total} messages")


@contextlib.contextmanager
def _sidecar(redis_url: str, path: Path, variables: dict[str, str]) -> Iterator[int]:
    """A sidecar in a process of its own, with nothing of our own environment: its pid."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RLB_", "OTEL_"))}
    own = {"RLB_REDIS__URL": redis_url, "RLB_SOCKET__PATH": str(path), "RLB_LOG__LEVEL": "error"}
    process = subprocess.Popen([sys.executable, "-m", "rlb.cli", "run"], env=kept | own | variables)
    try:
        until_s = time.monotonic() + PATIENCE_S
        while not path.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("the sidecar did not start")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def _onlookers(metrics_url: str, seen: dict[str, int]) -> Iterator[int]:
    """An OTLP sink's port, with a scraper beside it; what they saw is noted in the end."""
    command = [sys.executable, "-m", "tests.bench.onlookers", metrics_url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        seen.update(json.loads(process.stdout.readline() or "{}"))
        process.wait(20)


def _run(server: RedisServer, path: Path, messages: int, number: int, *, is_on: bool) -> Run:
    seen: dict[str, int] = {}
    with contextlib.ExitStack() as at_exit:
        variables = dict(OFF)
        if is_on:
            metrics_port = free_port()
            otlp_port = at_exit.enter_context(_onlookers(f"http://127.0.0.1:{metrics_port}/metrics", seen))
            variables = {
                "RLB_MONITOR__SCOPE": "all",
                "RLB_MONITOR__INTERVAL_SECONDS": "1",
                "RLB_METRICS__PORT": str(metrics_port),
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp_port}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            }
        pid = at_exit.enter_context(_sidecar(server.url, path, variables))
        uvloop.run(_produce(path, WARM_UP, number))
        time.sleep(SETTLE_S)
        begun_s, begun_cpu_s = time.perf_counter(), cpu_s(pid)
        uvloop.run(_produce(path, messages, number))
        wall_s, used_s = time.perf_counter() - begun_s, cpu_s(pid) - begun_cpu_s
    if is_on and not (seen.get("metrics_exports") and seen.get("traces_exports") and seen.get("scrapes")):
        raise RuntimeError(f"telemetry was not on: {seen}")
    return Run(is_on, messages / wall_s, used_s / messages * 1e6, seen)


def observability(server: RedisServer, folder: Path, messages: int, rounds: int) -> Observability:
    """Runs in turn: off and on, then on and off, as what comes second meets a warmer machine."""
    runs = []
    for number in range(rounds):
        for is_on in (False, True) if number % 2 == 0 else (True, False):
            server.reset()
            runs.append(_run(server, folder / "seen.sock", messages, number, is_on=is_on))
    return Observability(messages, runs)
