"""StreamInfo and GroupInfo: what the API says of a stream. Unknown numbers are None, never 0."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from rlb.domain.lag import LagQuality

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


class GroupInfo(_Info):
    """One group on one stream.

    `lag` counts the entries that it has not been handed yet; `lag_seconds` is the age of the oldest of them.
    """

    group: str
    lag: int | None
    lag_quality: LagQuality
    lag_upper_bound: int | None
    lag_seconds: float | None
    pending: int
    oldest_pending_seconds: float | None
    last_delivered_id: str
    consumers: tuple[ConsumerInfo, ...]


class StreamInfo(_Info):
    """One stream, as Redis says at this moment. `complete` is whether its last message ends a generation."""

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
    ttl_seconds: float | None
    max_length: int
    retention_ms: int
    complete: bool | None
    groups: tuple[GroupInfo, ...]


class StreamPage(_Info):
    """A page of streams; `next_cursor` is None on the last one."""

    streams: tuple[StreamInfo, ...]
    next_cursor: str | None
