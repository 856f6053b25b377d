"""The line of a group on a stream: there may be thousands, so it only refers to the snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from rlb.domain.lag import LagQuality
from rlb.domain.stream_info import GroupInfo, StreamInfo
from rlb_top.history import SEPARATOR, Trend
from rlb_top.row import Trends, no_trends
from rlb_top.severity import RowStatus


class GroupRow:
    """A group on a stream."""

    __slots__ = ("_trends", "info", "key", "status", "stream")

    streams = 1

    def __init__(self, stream: StreamInfo, info: GroupInfo, trends: Trends = no_trends) -> None:
        self.stream = stream
        self.info = info
        self.key = f"{stream.key}{SEPARATOR}{info.group}"
        self.status: RowStatus = info.status
        self._trends = trends

    @property
    def reason(self) -> str | None:
        return self.info.reason

    @property
    def group(self) -> str:
        return self.info.group

    @property
    def model(self) -> str | None:
        return self.stream.model_id

    @property
    def session(self) -> str:
        session = self.stream.session_id
        return session if session is not None else self.stream.key

    @property
    def infos(self) -> Sequence[GroupInfo]:
        return (self.info,)

    @property
    def lag(self) -> int | None:
        return self.info.lag

    @property
    def lag_quality(self) -> LagQuality:
        return self.info.lag_quality

    @property
    def lag_s(self) -> float | None:
        return self.info.lag_seconds

    @property
    def trend(self) -> Trend | None:
        return self._trends(self.key)

    @property
    def in_rate(self) -> float | None:
        return self.stream.write_rate

    @property
    def out_rate(self) -> float | None:
        return self.info.read_rate

    @property
    def pending(self) -> int:
        return self.info.pending

    @property
    def oldest_s(self) -> float | None:
        return self.info.oldest_pending_seconds

    @property
    def headroom_s(self) -> float | None:
        return self.info.headroom_seconds

    @property
    def lost(self) -> int | None:
        return self.info.lost_unread

    @property
    def consumers(self) -> int:
        return len(self.info.consumers)

    @property
    def length(self) -> int:
        return self.stream.length
