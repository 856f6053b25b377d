"""Lanes: order within each, side by side among them, bounded, and stopped with a deadline."""

from __future__ import annotations

import asyncio

import pytest

from rlb.client.lanes import Lanes
from tests.client.streams import eventually


async def test_order_within_a_lane_and_concurrency_among_them() -> None:
    """No two jobs of a lane overlap, as many lanes run as may, and never more."""
    lanes = Lanes(concurrency=3, capacity=100)
    done: dict[str, list[int]] = {}
    running: set[str] = set()
    most = 0

    async def job(name: str, number: int) -> None:
        nonlocal most
        assert name not in running
        running.add(name)
        most = max(most, len(running))
        await asyncio.sleep(0.001)
        running.remove(name)
        done.setdefault(name, []).append(number)

    for number in range(10):
        for name in "abcdef":
            await lanes.add(name, lambda name=name, number=number: job(name, number))  # type: ignore[misc]
    await eventually(lambda: lanes.held == 0)
    assert done == {name: list(range(10)) for name in "abcdef"}
    assert most == 3


async def test_a_busy_lane_does_not_starve_the_others() -> None:
    """With one worker, a job of a quiet lane is at most one job away."""
    lanes = Lanes(concurrency=1, capacity=100)
    order: list[str] = []

    async def job(name: str) -> None:
        order.append(name)
        await asyncio.sleep(0)

    for name in "aaaaab":
        await lanes.add(name, lambda name=name: job(name))  # type: ignore[misc]
    await eventually(lambda: lanes.held == 0)
    assert order.index("b") == 1


async def test_at_capacity_adding_waits() -> None:
    """The number of jobs that have not ended is bounded; the end of one lets the next in."""
    lanes = Lanes(concurrency=1, capacity=2)
    gate = asyncio.Event()
    for _ in range(2):
        await lanes.add("a", gate.wait)  # type: ignore[arg-type]
    third = asyncio.create_task(lanes.add("b", gate.wait))  # type: ignore[arg-type]
    await asyncio.sleep(0.02)
    assert not third.done()
    assert lanes.held == 2
    gate.set()
    await third


async def test_workers_that_ran_out_of_work_are_replaced() -> None:
    """A job that comes when the last worker has just ended is still run."""
    lanes = Lanes(concurrency=1, capacity=10)
    ran = 0

    async def job() -> None:
        nonlocal ran
        ran += 1

    for _ in range(200):
        await lanes.add("a", job)
        await asyncio.sleep(0)
    await eventually(lambda: ran == 200)


async def test_a_stop_lets_running_jobs_finish_and_starts_no_other() -> None:
    """Within the deadline; what is late is cancelled."""
    lanes = Lanes(concurrency=2, capacity=10)
    go_on, never = asyncio.Event(), asyncio.Event()
    begun: list[str] = []
    ended: list[str] = []

    async def job(name: str, until: asyncio.Event) -> None:
        begun.append(name)
        await until.wait()
        ended.append(name)

    await lanes.add("a", lambda: job("quick", go_on))
    await lanes.add("a", lambda: job("next", go_on))
    await lanes.add("b", lambda: job("late", never))
    await eventually(lambda: set(begun) == {"quick", "late"})
    stopping = asyncio.create_task(lanes.stop(0.2))
    await asyncio.sleep(0)
    go_on.set()
    assert await stopping == 2
    assert ended == ["quick"]


async def test_a_job_that_fails_ends_the_lanes() -> None:
    """Jobs deal with their failures themselves; one that does not is a fault that is not passed over."""
    lanes = Lanes(concurrency=1, capacity=1)

    async def job() -> None:
        raise LookupError("a fault")

    await lanes.add("a", job)
    with pytest.raises(LookupError, match="a fault"):
        await lanes.add("a", job)
