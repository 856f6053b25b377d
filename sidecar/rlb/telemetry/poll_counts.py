"""What polls cost and what fails in them, as the monitor tells it."""

from __future__ import annotations

from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.registry import Registry


class PollCounts:
    """Counts polls. Its methods are those that the monitor calls."""

    def __init__(self, registry: Registry, caps: LabelCaps) -> None:
        self._registry = registry
        self._caps = caps
        self._duration = registry.histogram("rlb.poll.duration")
        self._skipped = registry.counter("rlb.poll.streams.skipped")
        # Known beforehand: a rate sees the first one only if there was a zero before it.
        registry.counter("rlb.poll.errors", **{"error.type": caps.error_types.fold("unavailable")})

    def polled(self, seconds: float) -> None:
        """A poll of all streams that were due has ended."""
        self._duration.observe(seconds)

    def poll_failed(self, kind: str, count: int) -> None:
        """So many commands failed; `kind` is a prefix of Redis errors, or a word of ours."""
        labels = {"error.type": self._caps.error_types.fold(kind)}
        self._registry.counter("rlb.poll.errors", **labels).value += count

    def skipped(self, streams: int) -> None:
        """So many streams had to wait for the next poll."""
        self._skipped.value += streams
