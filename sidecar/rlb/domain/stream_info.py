"""StreamInfo and GroupInfo: what the API says of a stream. Unknown numbers are None, never 0."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from rlb.domain.lag import LagQuality
from rlb.domain.retention import HeadroomState

GroupStatus = Literal["ok", "lagging", "stalled", "stopped", "rewound", "losing", "unknown"]
ConsumerState = Literal["active", "idle", "dead"]


class _Info(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ConsumerInfo(_Info):
    """One consumer. `inactive_seconds` is the time since its last successful read, where the server tells it."""

    consumer: str
    pending: int
    idle_seconds: float
    inactive_seconds: float | None
    state: ConsumerState


class GroupInfo(_Info):
    """One group on one stream.

    `lag` counts the entries that it has not been handed yet (the least that there can be where the quality is
    `bounded`); `lag_seconds` is the age of the oldest of them. What needs a history (`read_rate`, entries a second,
    `headroom_seconds`, `status`) is known only of streams that are watched. `lost_unread` counts entries that were
    removed before the group was handed them: at least so many. `poison` counts pending entries that were delivered
    as often as is allowed, among those looked at.
    """

    group: str
    lag: int | None
    lag_quality: LagQuality
    lag_upper_bound: int | None
    lag_seconds: float | None
    pending: int
    oldest_pending_seconds: float | None
    longest_idle_seconds: float | None
    poison: int | None
    read_rate: float | None
    lost_unread: int | None
    headroom_seconds: float | None
    headroom_state: HeadroomState = "unknown"
    """`safe`: nothing will be removed unread at the present rates, so `headroom_seconds` is null."""
    status: GroupStatus
    reason: str | None
    last_delivered_id: str
    consumers: tuple[ConsumerInfo, ...]


class StreamInfo(_Info):
    """One stream. `complete` is whether its last message ends a generation; `write_rate` is entries a second."""

    session_id: str | None
    model_id: str | None
    key: str
    length: int
    entries_added: int | None
    entries_trimmed: int | None
    first_entry_id: str | None
    last_entry_id: str | None
    last_generated_id: str
    age_seconds: float | None
    write_rate: float | None
    bytes: int | None
    ttl_seconds: float | None
    max_length: int | None
    retention_ms: int | None
    complete: bool | None
    groups: tuple[GroupInfo, ...]


class StreamPage(_Info):
    """A page of streams; `next_cursor` is None on the last one."""

    streams: tuple[StreamInfo, ...]
    next_cursor: str | None
