"""The benchmark: what a token costs an app, the sidecar and Redis, against redis-py in the same run.

Also what a sidecar takes of its pod, what it costs to watch very many streams, against prometheus-redis-exporter and
on a screen, and what telemetry takes of the throughput.

Usage: make bench [ARGS="--messages 200000 --rounds 3 --json bench.json"]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

from tests.bench import producers
from tests.bench.fanout import fanout
from tests.bench.footprint import footprint
from tests.bench.measure import Cost, Stopwatch
from tests.bench.observability import observability
from tests.bench.polling import polling
from tests.bench.top import looks, sentences
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer


@contextlib.contextmanager
def sidecar(redis_url: str, folder: Path) -> Iterator[tuple[Path, int]]:
    """A sidecar in a process of its own: its socket and its pid."""
    path = folder / "rlb.sock"
    command = [
        "run",
        "--redis-url",
        redis_url,
        "--socket-path",
        str(path),
        "--metrics-port",
        "0",
        "--log-level",
        "error",
    ]
    process = subprocess.Popen([sys.executable, "-m", "rlb.cli", *command])
    try:
        while not path.exists():
            if process.poll() is not None:
                raise RuntimeError("the sidecar did not start")
            time.sleep(0.02)
        time.sleep(0.2)
        yield path, process.pid
    finally:
        process.terminate()
        process.wait(20)


def produce(server: RedisServer, socket_path: Path, sidecar_pid: int, messages: int) -> list[Cost]:
    """Every way of producing, one after the other."""
    redis_path = server.socket_path
    runs: list[tuple[str, int | None, int, Callable[[int], None]]] = [
        (
            "redis-py asyncio, XADD a token",
            None,
            messages // 4,
            lambda n: uvloop.run(producers.redis_py_asyncio(redis_path, n)),
        ),
        ("redis-py sync, XADD a token", None, messages // 4, lambda n: producers.redis_py_sync(redis_path, n)),
        ("redis-py sync, pipeline of 64", None, messages, lambda n: producers.redis_py_pipeline(redis_path, n)),
        (
            "rlb NDJSON over the socket",
            sidecar_pid,
            messages,
            lambda n: uvloop.run(producers.sidecar_ndjson(socket_path, n)),
        ),
        (
            "rlb.Bridge.generation",
            sidecar_pid,
            messages,
            lambda n: uvloop.run(producers.sidecar_client(socket_path, n)),
        ),
    ]
    costs = []
    for name, pid, wanted, run in runs:
        count = wanted - wanted % producers.SESSIONS
        watch = Stopwatch(server.pid, pid)
        run(count)
        costs.append(watch.stop(name, count))
    return costs


def table(rounds: list[list[Cost]]) -> str:
    """The medians as Markdown; `vs redis-py` compares the app's CPU with an XADD a token on asyncio."""
    lines = [
        "| producer | tokens/s | app us/token | sidecar us/token | Redis us/token | app CPU vs redis-py asyncio |",
        "|---|---|---|---|---|---|",
    ]
    medians = [list(costs) for costs in zip(*rounds, strict=True)]
    baseline = statistics.median(cost.app_us for cost in medians[0])
    for costs in medians:
        sidecar_us = [cost.sidecar_us for cost in costs if cost.sidecar_us is not None]
        app_us = statistics.median(cost.app_us for cost in costs)
        lines.append(
            f"| {costs[0].name} | {statistics.median(cost.per_second for cost in costs):,.0f} | {app_us:.1f} | "
            f"{f'{statistics.median(sidecar_us):.1f}' if sidecar_us else '-'} | "
            f"{statistics.median(cost.redis_us for cost in costs):.1f} | {app_us / baseline:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=10_000, help="watched; and then ten times as many")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rlb-bench-") as folder:
        server = RedisServer(VALKEY_9)
        server.start()
        try:
            with sidecar(server.url, Path(folder)) as (socket_path, pid):
                rounds = [produce(server, socket_path, pid, options.messages) for _ in range(options.rounds)]
                print(table(rounds))
                figures = asyncio.run(fanout(server, socket_path, options.subscribers))
                print(f"\n{figures.sentence()}")
            taken = footprint(server, sidecar, Path(folder))
            print(f"\n{taken.sentence()}")
            seen = observability(server, Path(folder), options.messages, options.rounds)
            print("\n" + "\n".join(seen.sentences()))
        finally:
            server.close()
        polls = polling(Path(folder), options.streams, 10 * options.streams)
        print("\n" + "\n".join(polls.sentences()))
        screens = looks(options.streams)
        print("\n" + "\n".join(sentences(screens)))
    if options.json is not None:
        costs = [[dataclasses.asdict(cost) for cost in costs] for costs in rounds]
        figures_by_name = {"produce": costs, "fanout": dataclasses.asdict(figures)}
        figures_by_name |= {"telemetry": dataclasses.asdict(seen), "polling": dataclasses.asdict(polls)}
        figures_by_name["footprint"] = dataclasses.asdict(taken)
        figures_by_name["top"] = [dataclasses.asdict(each) for each in screens]
        options.json.write_text(json.dumps(figures_by_name, indent=2))


if __name__ == "__main__":
    main()
