"""What the sidecar knows of itself when asked: its build, its queue, its connections, how fresh its polls are."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from rlb._version import __version__
from rlb.bridge.ticket import OVERHEAD_BYTES
from rlb.settings import Settings
from rlb.telemetry.registry import Sample, Source

REVISION_VARIABLE = "BUILD_REVISION"
"""Environment variable in which an image says what it was built from."""


class LinkState(Protocol):
    """A connection to Redis, as far as it is counted."""

    @property
    def name(self) -> str: ...
    @property
    def is_up(self) -> bool: ...
    @property
    def in_flight_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class PollState:
    """What the monitor says of its polls. Unknown is None."""

    last_success_s: float | None = None
    """Unix time of the last poll that succeeded."""
    skew_s: float | None = None
    """Clock of Redis minus the clock here, in seconds."""
    leads: bool | None = None
    """Whether this observer polls; None where there is no election."""
    observed: bool | None = None
    """Whether an observer polls what this sidecar polls; None where nobody has asked."""
    lease: str | None = None
    """The name of the observer's lease, if there is one."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """The messages taken from apps and not yet answered."""

    messages: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What is asked at a collection; each call gives what is so now."""

    queue: Callable[[], QueueState] | None
    """None where no apps are served."""
    roles: Callable[[], Mapping[str, int]]
    """Open connections of the socket by role."""
    links: Callable[[], Iterable[LinkState]]
    poll: Callable[[], PollState]


def self_metrics(settings: Settings, parts: Parts, environ: Mapping[str, str] = os.environ) -> Source:
    """A source of the metrics about the sidecar itself."""
    fixed = (
        Sample("rlb.build.info", build_labels(environ), 1),
        Sample("rlb.config.info", config_labels(settings), 1),
    )

    def source() -> Iterator[Sample]:
        yield from fixed
        if parts.queue is not None:
            yield from _queue_samples(parts.queue(), settings.append.buffer_bytes)
        for role, count in parts.roles().items():
            yield Sample("rlb.ingest.connections", {"role": role}, count)
        yield from _link_samples(parts.links())
        yield from _poll_samples(parts.poll())

    return source


def build_labels(environ: Mapping[str, str]) -> dict[str, str]:
    """What runs: the version, what it was built from, and the Python under it."""
    return {
        "version": __version__,
        "revision": environ.get(REVISION_VARIABLE, "").strip() or "unknown",
        "python.version": platform.python_version(),
    }


def config_labels(settings: Settings) -> dict[str, str]:
    """The settings that a reader of the metrics has to know."""
    stream = settings.stream
    return {
        "scope": settings.monitor.scope,
        "trim_policy": "maxlen" if stream.max_length else "none",
        "max_length": str(stream.max_length),
        "retention_ms": str(stream.retention_ms),
        "interval_seconds": f"{settings.monitor.interval_seconds:g}",
    }


def _queue_samples(queue: QueueState, limit: int) -> Iterator[Sample]:
    yield Sample("rlb.ingest.queue.size.limit", {}, limit)
    yield Sample("rlb.ingest.queue.capacity", {}, limit // OVERHEAD_BYTES)
    yield Sample("rlb.ingest.queue.length", {}, queue.messages)
    yield Sample("rlb.ingest.queue.size", {}, queue.bytes)


def _link_samples(links: Iterable[LinkState]) -> Iterator[Sample]:
    counts: dict[tuple[str, str], int] = {}
    for link in links:
        # Links of one kind are numbered: reader-0, reader-1 ...
        pool = link.name.partition("-")[0]
        used, idle = (pool, "used"), (pool, "idle")
        is_used = link.is_up and link.in_flight_bytes > 0
        counts[used] = counts.get(used, 0) + is_used
        counts[idle] = counts.get(idle, 0) + (link.is_up and not is_used)
        if link.name == "main":
            yield Sample("rlb.redis.up", {}, int(link.is_up))
    for (pool, state), count in counts.items():
        labels = {"db.client.connection.pool.name": pool, "db.client.connection.state": state}
        yield Sample("db.client.connection.count", labels, count)


def _poll_samples(poll: PollState) -> Iterator[Sample]:
    if poll.last_success_s is not None:
        yield Sample("rlb.poll.last_success.timestamp", {}, poll.last_success_s)
    if poll.skew_s is not None:
        yield Sample("rlb.redis.clock.skew", {}, poll.skew_s)
    lease = {"lease": poll.lease} if poll.lease is not None else {}
    if poll.leads is not None:
        yield Sample("rlb.monitor.leader", lease, int(poll.leads))
    if poll.observed is not None:
        yield Sample("rlb.monitor.observed", lease, int(poll.observed))
