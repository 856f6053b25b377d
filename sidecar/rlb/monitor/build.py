"""The monitor, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rlb.bridge.claim import Limits
from rlb.domain.keys import Keys
from rlb.monitor.monitor import Monitor
from rlb.monitor.poll_observer import PollObserver
from rlb.redis_io.topology import Topology
from rlb.settings import Settings


def build_monitor(
    settings: Settings,
    topology: Topology,
    own: Callable[[], Iterable[str]] = tuple,
    observer: PollObserver | None = None,
) -> Monitor:
    """The monitor, not yet connected; `own` gives the keys that this sidecar uses."""
    limits = Limits(settings.stream.max_length, settings.stream.retention_ms)
    return Monitor(topology, Keys(settings.stream.prefix), limits, settings, own=own, observer=observer)
