"""The census: what all watched streams come to, by model and by group. No stream key, so its size is bounded.

Unknown is None and is left out of sums and extremes; `by_quality` says how many streams that concerns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rlb.domain.lag import LagQuality
from rlb.domain.stream_info import ConsumerState, GroupStatus

OTHER = "other"
"""What stands for every model or group beyond the cap."""


@dataclass(slots=True)
class ModelCensus:
    """The streams of one model. Ages, limits and times in seconds; the totals only ever grow."""

    streams: int = 0
    length: int = 0
    length_max: int = 0
    memory_bytes: int | None = None
    retention_age_s: float | None = None
    """Age of the oldest kept entry, the greatest of all streams."""
    retention_limit: int | None = None
    """MAXLEN, the smallest of all streams that have one."""
    ttl_min_s: float | None = None
    """Soonest expiry among streams with undelivered entries."""


@dataclass(slots=True)
class ModelTotals:
    """What was counted for one model since the start; streams that have gone included."""

    entries_added: int = 0
    trimmed: int = 0


@dataclass(slots=True)
class GroupCensus:
    """One group on the streams of one model."""

    lag: int | None = None
    lag_max: int | None = None
    lag_age_s: float | None = None
    headroom_s: float | None = None
    pending: int = 0
    pending_age_s: float | None = None
    longest_idle_s: float | None = None
    poison: int = 0
    """Pending entries that were delivered as often as is allowed, as far as they were looked at."""
    by_quality: dict[LagQuality, int] = field(default_factory=dict)
    by_status: dict[GroupStatus, int] = field(default_factory=dict)
    consumers: dict[ConsumerState, int] = field(default_factory=dict)


@dataclass(slots=True)
class GroupTotals:
    """What was counted for one group of one model since the start."""

    entries_read: int = 0
    lost: int = 0
    gone: int = 0
    """Undelivered at the last poll of a stream that has expired or was deleted since."""


@dataclass(frozen=True, slots=True)
class TopStream:
    """One of the streams that a group lags behind on the most."""

    stream: str
    """Its key, or the hash of it."""
    group: str
    lag: int


@dataclass(frozen=True, slots=True)
class TopConsumer:
    """One of the consumers with the most pending entries."""

    group: str
    consumer: str
    pending: int
    idle_s: float


@dataclass(slots=True)
class Census:
    """One count of all watched streams. `at` is Redis time in Unix seconds, None before the first poll."""

    at: float | None = None
    models: dict[str, ModelCensus] = field(default_factory=dict)
    groups: dict[tuple[str, str], GroupCensus] = field(default_factory=dict)
    """By model and group."""
    written_per_s: float | None = None
    """Entries a second that are added to all streams together, as far as it is known; and those that groups read."""
    read_per_s: float | None = None
    lost: int = 0
    """Entries lost unread on the streams that there are."""
    top_streams: list[TopStream] = field(default_factory=list)
    top_consumers: list[TopConsumer] = field(default_factory=list)


@dataclass(slots=True)
class Totals:
    """Counters that outlive the streams they were counted on."""

    models: dict[str, ModelTotals] = field(default_factory=dict)
    groups: dict[tuple[str, str], GroupTotals] = field(default_factory=dict)
