"""What a sidecar says of itself: its build, its settings, its queue, its connections, and how fresh its polls are."""

from __future__ import annotations

import asyncio
import platform
import time
from dataclasses import dataclass

import pytest

from rlb._version import __version__
from rlb.settings import Settings
from rlb.telemetry.catalogue import CATALOGUE
from rlb.telemetry.loop_lag import watch_loop
from rlb.telemetry.registry import Histogram
from rlb.telemetry.self_metrics import Parts, PollState, QueueState, self_metrics

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Link:
    """A connection to Redis."""

    name: str
    is_up: bool = True
    in_flight_bytes: int = 0


def observed(parts: Parts, settings: Settings | None = None, environ: dict[str, str] | None = None) -> Found:
    """The samples by name and labels; each has all the labels that it should, and of those that it may no others."""
    found: Found = {}
    for name, labels, value in self_metrics(settings or Settings(), parts, environ or {})():
        assert set(labels) <= set(CATALOGUE[name].attributes)
        assert set(labels) >= {each.name for each in CATALOGUE[name].of if not each.optional}
        key = (name, frozenset(labels.items()))
        assert key not in found
        found[key] = value
    return found


def parts(*links: Link, poll: PollState | None = None, queue: QueueState | None = None) -> Parts:
    """Parts that are as told."""
    return Parts(
        queue=None if queue is None else lambda: queue,
        roles=lambda: {"producer": 3, "consumer": 2, "admin": 1},
        links=lambda: links,
        poll=lambda: poll or PollState(),
    )


def value(found: Found, name: str, **labels: str) -> float | None:
    """The value of a series, or None."""
    return found.get((name, frozenset(labels.items())))


def test_build_and_settings_are_labels() -> None:
    """What runs, and what a reader of the other metrics has to know of its settings."""
    settings = Settings.model_validate({"stream": {"max_length": 0}, "monitor": {"scope": "all"}})
    found = observed(parts(), settings, {"BUILD_REVISION": " 1a2b3c "})
    build = {"version": __version__, "revision": "1a2b3c", "python.version": platform.python_version()}
    assert value(found, "rlb.build.info", **build) == 1
    config = {"scope": "all", "trim_policy": "none", "max_length": "0"}
    assert value(found, "rlb.config.info", **config, retention_ms="3600000", interval_seconds="5") == 1
    unknown = observed(parts())
    assert value(unknown, "rlb.build.info", **(build | {"revision": "unknown"})) == 1


def test_the_queue_has_a_bound_beside_it() -> None:
    """In bytes, which it is bounded by, and in messages: as many as fit if they are small."""
    settings = Settings.model_validate({"append": {"buffer_bytes": 8 * 2**20}})
    found = observed(parts(queue=QueueState(17, 9000)), settings)
    assert value(found, "rlb.ingest.queue.length") == 17
    assert value(found, "rlb.ingest.queue.size") == 9000
    assert value(found, "rlb.ingest.queue.size.limit") == 8 * 2**20
    assert value(found, "rlb.ingest.queue.capacity") == 16384
    assert value(observed(parts()), "rlb.ingest.queue.length") is None


def test_connections_are_counted_by_what_they_are_for() -> None:
    """Those of apps by role, those to Redis by pool; numbered links are one pool."""
    links = (
        Link("main", in_flight_bytes=10),
        Link("side"),
        Link("reader-0"),
        Link("reader-1"),
        Link("reader-2", False),
    )
    found = observed(parts(*links))
    assert value(found, "rlb.ingest.connections", role="consumer") == 2
    name, pool, state = "db.client.connection.count", "db.client.connection.pool.name", "db.client.connection.state"
    assert value(found, name, **{pool: "main", state: "used"}) == 1
    assert value(found, name, **{pool: "main", state: "idle"}) == 0
    assert value(found, name, **{pool: "reader", state: "idle"}) == 2
    assert value(found, "rlb.redis.up") == 1
    assert value(observed(parts(Link("main", is_up=False))), "rlb.redis.up") == 0


def test_what_is_not_known_of_polls_is_absent() -> None:
    """No poll has been, no clock compared, no election held: nothing is said of them."""
    found = {name for name, _ in observed(parts())}
    assert found.isdisjoint({"rlb.poll.last_success.timestamp", "rlb.redis.clock.skew"})
    assert found.isdisjoint({"rlb.monitor.leader", "rlb.monitor.observed"})
    known = observed(parts(poll=PollState(1.5e9, -0.25, leads=False, lease="1a2b3c4d")))
    assert value(known, "rlb.poll.last_success.timestamp") == 1.5e9
    assert value(known, "rlb.redis.clock.skew") == -0.25
    assert value(known, "rlb.monitor.leader", lease="1a2b3c4d") == 0


def test_a_sidecar_names_the_lease_of_the_observer_beside_it() -> None:
    """By which queries find that observer; without one there is nothing to name."""
    beside = observed(parts(poll=PollState(observed=True, lease="1a2b3c4d")))
    assert value(beside, "rlb.monitor.observed", lease="1a2b3c4d") == 1
    assert "rlb.monitor.leader" not in {name for name, _ in beside}
    assert value(observed(parts(poll=PollState(observed=False))), "rlb.monitor.observed") == 0


async def test_a_stall_of_the_loop_is_seen() -> None:
    """A handler that blocks is told by how much it made timers late."""
    lag = Histogram((0.01, 0.1, 1.0))
    watch = asyncio.create_task(watch_loop(lag, period_s=0.01))
    try:
        async with asyncio.timeout(10):
            while not sum(lag.counts):
                await asyncio.sleep(0.01)
        before = sum(lag.counts[2:])
        time.sleep(0.2)
        async with asyncio.timeout(10):
            while sum(lag.counts[2:]) == before:
                await asyncio.sleep(0.01)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    assert lag.sum > 0.1


@pytest.mark.parametrize("name", ["rlb.ingest.queue.capacity", "rlb.build.info", "db.client.connection.count"])
def test_names_are_those_of_the_catalogue(name: str) -> None:
    """Nothing is observed under a name of its own."""
    found = observed(parts(Link("main"), queue=QueueState(0, 0), poll=PollState(1.0, 0.0, leads=True, lease="a")))
    assert name in {each for each, _ in found}
    assert {each for each, _ in found} <= set(CATALOGUE)
