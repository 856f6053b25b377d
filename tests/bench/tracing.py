"""What tracing costs a token on the append path: `PYTHONPATH=. python tests/bench/tracing.py`.

CPU time of one process that appends to a real Valkey, without a socket in front, in short rounds that alternate between
the cases: tracing off, on with nothing sampled, on with 1 % sampled, and with everything. What counts is the median of
the differences to the round without tracing beside it, as other processes come and go; how far that can be trusted,
the second case without tracing shows.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median

import uvloop

from rlb.domain.draft import TokenRequest, draft_from_token
from rlb.telemetry.registry import Registry
from rlb.telemetry.tracing import Tracing, open_tracing
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.cores import RunningCore, settings_of
from tests.support.otlp import Collector

ROUNDS = 60
TOKENS = 50
"""Of one generation."""
GENERATIONS = 64

CASES: dict[str, tuple[str, str] | None] = {
    "off": None,
    "off, once more": None,
    "on, none sampled": ("traceidratio", "0"),
    "on, 1 % sampled": ("traceidratio", "0.01"),
    "on, all sampled": ("always_on", "1"),
}


async def one_round(core: RunningCore, round_name: str) -> float:
    """CPU microseconds of a token; every generation has one token in each write."""
    connection = core.connection()
    sessions = [f"{round_name}-{each}" for each in range(GENERATIONS)]
    gc.collect()
    began_s = time.process_time()
    for at in range(TOKENS):
        complete = "stop" if at == TOKENS - 1 else None
        for session in sessions:
            request = TokenRequest.model_construct(session_id=session, model_id="m", token="token", complete=complete)
            draft = draft_from_token(request, 1)
            core.core.appender.submit(session, "m", draft, connection._on_done, producer=connection.producer)
            connection.sent.append(None)  # type: ignore[arg-type]
        await connection.unanswered_at_most(0)
    return (time.process_time() - began_s) / (TOKENS * GENERATIONS) * 1e6


async def measure(url: str, collector: Collector) -> dict[str, list[float]]:
    """Every round of each case."""
    costs_us: dict[str, list[float]] = {name: [] for name in CASES}
    cores: dict[str, tuple[RunningCore, Tracing | None]] = {}
    for name, sampler in CASES.items():
        settings = settings_of(url, stream={"max_length": 1000})
        tracing = None
        if sampler is not None:
            environ = {
                **collector.environment,
                "OTEL_TRACES_SAMPLER": sampler[0],
                "OTEL_TRACES_SAMPLER_ARG": sampler[1],
            }
            tracing = open_tracing(settings, Registry(), {}, url, environ)
        cores[name] = RunningCore(settings, tracer=tracing), tracing
        await cores[name][0].ready()
    for number in range(ROUNDS):
        # In turn, so that none always runs behind the one that leaves most to be exported.
        order = list(cores)[number % len(cores) :] + list(cores)[: number % len(cores)]
        for name in order:
            cost_us = await one_round(cores[name][0], f"r-{number}-{list(cores).index(name)}")
            costs_us[name].append(cost_us)
            await asyncio.sleep(0.05)
    for core, tracing in cores.values():
        await core.close()
        if tracing is not None:
            await tracing.close()
    return costs_us


def rows(costs_us: dict[str, list[float]]) -> Iterator[str]:
    """The table."""
    yield "| tracing | us a token | more |"
    yield "|---|---:|---:|"
    for name, own in costs_us.items():
        more = median(one - off for one, off in zip(own, costs_us["off"], strict=True))
        yield f"| {name} | {median(own):.2f} | {more:+.2f} |"


def main() -> None:
    with Collector() as collector, closing(RedisServer(VALKEY_9).start()) as server:
        os.environ.update(collector.environment)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            costs_us = runner.run(measure(server.url, collector))
        print("\n".join(rows(costs_us)))


if __name__ == "__main__":
    main()
