"""The monitor over very many streams: a poll against a scrape of prometheus-redis-exporter, and what /metrics costs.

Both ask the same server in the same run, one after the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.many_streams import expected_lag, fill
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.started import free_port

EXPORTER = Path("/usr/bin/prometheus-redis-exporter")
SCRAPES = 5
POLLS = 7
PATIENCE_S = 120.0


@dataclass(frozen=True)
class PollCost:
    """What it takes to poll so many streams that are at rest. Seconds are of the best poll of several.

    The best, as a scrape is by its best, too: what else runs on the machine only ever adds.
    """

    streams: int
    first_s: float
    """The first poll, which finds the streams and asks everything about them."""
    poll_s: float
    poll_cpu_s: float
    redis_cpu_s: float
    bytes_a_stream: float


@dataclass(frozen=True)
class ScrapeCost:
    """What the best scrape of several takes; `redis_cpu_s` is None where it does not ask Redis."""

    scrape_s: float
    redis_cpu_s: float | None
    series: int


@dataclass(frozen=True)
class Polling:
    """All of it. `exporter` is None where there is none to compare with."""

    polls: PollCost
    more_polls: PollCost
    exporter: ScrapeCost | None
    metrics: ScrapeCost

    def sentences(self) -> Iterator[str]:
        """The results in words."""
        few, many = self.polls, self.more_polls
        yield (
            f"A poll of {few.streams:,} streams: {few.poll_s * 1e3:.0f} ms ({few.first_s * 1e3:.0f} ms the first), "
            f"{few.poll_cpu_s * 1e3:.0f} ms of CPU here and {few.redis_cpu_s * 1e3:.0f} ms of Redis"
        )
        if self.exporter is not None and self.exporter.redis_cpu_s is not None:
            yield (
                f"A scrape of prometheus-redis-exporter, same streams: {self.exporter.scrape_s * 1e3:.0f} ms "
                f"({self.exporter.scrape_s / few.poll_s:.1f} times the poll), "
                f"{self.exporter.redis_cpu_s * 1e3:.0f} ms of Redis "
                f"(the poll takes {few.redis_cpu_s / self.exporter.redis_cpu_s:.2f} of that), "
                f"{self.exporter.series:,} series"
            )
        told = f"{self.metrics.series:,} series in {self.metrics.scrape_s * 1e3:.1f} ms"
        yield f"/metrics over {few.streams:,} streams: {told}"
        per_stream = (many.poll_s / many.streams) / (few.poll_s / few.streams)
        yield (
            f"A poll of {many.streams:,} streams: {many.poll_s * 1e3:.0f} ms ({many.first_s * 1e3:.0f} ms the first), "
            f"{per_stream:.2f} times as much a stream as of {few.streams:,}; "
            f"{many.bytes_a_stream / 1024:.2f} KiB of memory a stream"
        )


def redis_cpu_s(server: RedisServer) -> float:
    """CPU seconds that the server has used."""
    fields = dict(line.split(":", 1) for line in server.command("INFO", "CPU").decode().splitlines() if ":" in line)
    return float(fields["used_cpu_sys"]) + float(fields["used_cpu_user"])


def poll_cost(server: RedisServer, streams: int) -> PollCost:
    """Polls by a process that has just started."""
    command = [sys.executable, "-m", "tests.bench.poll_process", server.url, str(1 + POLLS)]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=True).stdout)
    if said["streams"] != streams or said["lag"] != expected_lag(streams):
        raise RuntimeError(f"{said['streams']} streams with a lag of {said['lag']} in all")
    polls_s, cpu_s, redis_s = (min(said[name][1:]) for name in ("wall_s", "cpu_s", "redis_cpu_s"))
    return PollCost(streams, said["wall_s"][0], polls_s, cpu_s, redis_s, said["bytes"] / streams)


def fetched(url: str) -> bytes:
    """The body at a URL."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
        body: bytes = response.read()
    return body


def _series(body: bytes) -> int:
    return sum(bool(line) and not line.startswith(b"#") for line in body.splitlines())


@contextlib.contextmanager
def _running(command: list[str], url: str, variables: dict[str, str]) -> Iterator[None]:
    """A process, from when it answers at the URL to the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RLB_", "OTEL_"))}
    process = subprocess.Popen(command, env=environment | variables, stderr=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                fetched(url)
            except OSError:
                if process.poll() is not None or time.monotonic() > until_s:
                    raise RuntimeError(f"{command[0]} does not answer") from None
                time.sleep(0.05)
            else:
                break
        yield
    finally:
        process.terminate()
        process.wait(20)


def exporter_cost(server: RedisServer) -> ScrapeCost | None:
    """Scrapes of the exporter, which asks Redis at each; None where it is not installed."""
    if not EXPORTER.exists():
        return None
    port = free_port()
    command = [str(EXPORTER), "--redis.addr", server.url, "--check-streams=llm:stream:*"]
    url = f"http://127.0.0.1:{port}/"
    with _running([*command, f"--web.listen-address=127.0.0.1:{port}"], url, {}):
        times_s, cpu_s, body = [], [], b""
        for _ in range(SCRAPES):
            before_s, begun_s = redis_cpu_s(server), time.perf_counter()
            body = fetched(f"{url}metrics")
            times_s.append(time.perf_counter() - begun_s)
            cpu_s.append(redis_cpu_s(server) - before_s)
    return ScrapeCost(min(times_s), min(cpu_s), _series(body))


def metrics_cost(server: RedisServer, folder: Path, streams: int) -> ScrapeCost:
    """Scrapes of a sidecar that watches all of the streams, once it has found them."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    variables = {
        "RLB_REDIS__URL": server.url,
        "RLB_SOCKET__PATH": str(folder / "many.sock"),
        "RLB_METRICS__PORT": str(port),
        "RLB_MONITOR__SCOPE": "all",
        "RLB_MONITOR__INTERVAL_SECONDS": "1",
        "RLB_LOG__LEVEL": "error",
    }
    with _running([sys.executable, "-m", "rlb.cli", "run"], url, variables):
        until_s = time.monotonic() + PATIENCE_S
        while (seen := _streams(fetched(url))) != streams:
            if time.monotonic() > until_s:
                raise RuntimeError(f"the sidecar tells of {seen} streams")
            time.sleep(0.5)
        times_s, body = [], b""
        for _ in range(21):
            begun_s = time.perf_counter()
            body = fetched(url)
            times_s.append(time.perf_counter() - begun_s)
            time.sleep(0.1)
    return ScrapeCost(min(times_s), None, _series(body))


def _streams(body: bytes) -> int:
    """How many streams a scrape tells of."""
    lines = (line for line in body.splitlines() if line.startswith(b"rlb_stream_count"))
    return round(sum(float(line.rpartition(b" ")[2]) for line in lines))


def polling(folder: Path, few: int, many: int) -> Polling:
    """All measurements, on a server of their own."""
    server = RedisServer(VALKEY_9).start()
    try:
        fill(server, 0, few)
        exporter = exporter_cost(server)
        polls = poll_cost(server, few)
        metrics = metrics_cost(server, folder, few)
        fill(server, few, many)
        return Polling(polls, poll_cost(server, many), exporter, metrics)
    finally:
        server.close()
