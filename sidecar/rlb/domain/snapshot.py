"""The snapshot: what the monitor knows after a poll, as `GET /v1/snapshot` tells it. Unknown is null."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from rlb.domain.stream_info import StreamInfo

GenerationState = Literal["active", "stalled"]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class SidecarInfo(_Part):
    """Who made the snapshot. `leads`: whether it is this one of many that polls; null where there is no choice."""

    version: str
    instance: str
    scope: Literal["own", "all", "off"]
    leads: bool | None = None


class RedisInfo(_Part):
    """How Redis is; `version` as it says it, such as `valkey 9.1.2`."""

    up: bool
    version: str | None
    clock_skew_seconds: float | None
    reason: str | None


class TotalsInfo(_Part):
    """What all watched streams come to. `tokens_in` and `tokens_out` are entries a second, written and read."""

    streams: int
    groups: int
    tokens_in: float | None
    tokens_out: float | None
    worst_lag_seconds: float | None
    lost_unread: int
    unknown_lag: int


class GenerationInfo(_Part):
    """A generation that an app of this sidecar is writing."""

    session_id: str
    model_id: str
    tokens: int
    tokens_per_second: float | None
    since_last_token_seconds: float
    state: GenerationState


class Snapshot(_Part):
    """One poll's findings. `at` is Redis time in Unix seconds, null before the first poll.

    `streams` are the worst, at most as many as were asked for; the totals are of all.
    """

    at: float | None
    poll_seconds: float | None
    sidecar: SidecarInfo
    redis: RedisInfo
    totals: TotalsInfo
    streams: tuple[StreamInfo, ...]
    generations: tuple[GenerationInfo, ...]
