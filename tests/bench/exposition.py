"""What telemetry costs: counting a token, and a scrape of so many series. `python tests/bench/exposition.py`."""

from __future__ import annotations

import asyncio
import time
import timeit
from collections.abc import Callable

from rlb.telemetry.exposition import Exposition
from rlb.telemetry.registry import Registry
from tests.telemetry.filled import fill

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SIZES = ((1, 1), (3, 2), (4, 3), (10, 5))
"""Models and groups with all their label values."""

ROUNDS = 30
CALLS = 200_000


def nanoseconds(call: Callable[[], object]) -> float:
    """Of one call, the best of some rounds."""
    return min(timeit.repeat(call, number=CALLS, repeat=5)) / CALLS * 1e9


async def longest_turn(over: asyncio.Event) -> float:
    """Seconds that the loop took for its longest turn, until it is over."""
    longest_s = 0.0
    while not over.is_set():
        before_s = time.perf_counter()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.perf_counter() - before_s)
    return longest_s


async def scrape(exposition: Exposition, accept: str) -> tuple[float, float, int]:
    """Milliseconds of a scrape, those that the loop was held up at a time, and its series: the best of some rounds."""
    best_ms = stall_ms = 1e9
    body = b""
    for _ in range(ROUNDS):
        over = asyncio.Event()
        watching = asyncio.create_task(longest_turn(over))
        await asyncio.sleep(0)
        began_s = time.perf_counter()
        body = (await exposition.render(accept, "")).body
        best_ms = min(best_ms, (time.perf_counter() - began_s) * 1e3)
        over.set()
        stall_ms = min(stall_ms, await watching * 1e3)
    return best_ms, stall_ms, sum(1 for line in body.splitlines() if not line.startswith(b"#"))


async def main() -> None:
    """Print both tables."""
    registry = Registry()
    counter = registry.counter("rlb.ingest.tokens", model="m")
    histogram = registry.histogram("rlb.token.interval", model="m")

    def count() -> None:
        counter.value += 1

    print("| operation | ns |\n|---|---:|")
    print(f"| count | {nanoseconds(count):.0f} |")
    print(f"| observe | {nanoseconds(lambda: histogram.observe(0.03)):.0f} |")
    print(f"| observe with a span | {nanoseconds(lambda: histogram.observe_traced(0.03, 't', 's')):.0f} |")
    print("\n| format | series | scrape, ms | longest hold of the loop, ms |\n|---|---:|---:|---:|")
    for models, groups in SIZES:
        registry = Registry()
        fill(registry, models, groups)
        exposition = Exposition(registry, {"service.name": "rlb"})
        await exposition.render("", "")
        for name, accept in (("text", ""), ("OpenMetrics", OPENMETRICS)):
            taken_ms, stall_ms, series = await scrape(exposition, accept)
            print(f"| {name} | {series} | {taken_ms:.1f} | {stall_ms:.1f} |")


if __name__ == "__main__":
    asyncio.run(main())
