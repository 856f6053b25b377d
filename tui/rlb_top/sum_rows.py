"""Lines that sum several groups up: those of a stream, or one group on all streams of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from rlb.domain.lag import LagQuality
from rlb.domain.stream_info import GroupInfo, StreamInfo
from rlb_top.history import SEPARATOR, Trend, group_key
from rlb_top.row import Trends, no_trends
from rlb_top.severity import RANKS, RowStatus
from rlb_top.sums import greatest, least, sum_of


class SumRow:
    """Several groups, or none, as one line.

    Of a stream the lag is that of the group that is furthest behind, and so is the rate out; of a model the lags and
    rates of its streams are added. A sum over lags that are not all known is the least that it can be.
    """

    def __init__(
        self,
        key: str,
        members: Sequence[tuple[StreamInfo, GroupInfo]],
        *,
        over: Sequence[StreamInfo],
        trends: Trends = no_trends,
    ) -> None:
        self.key = key
        self.infos: Sequence[GroupInfo] = [info for _, info in members]
        self.streams = len(over)
        worst = members[0] if len(members) == 1 else max(members, key=_badness, default=None)
        self._worst = worst
        self.status: RowStatus = worst[1].status if worst is not None else "unread"
        self._over = over
        self._trends = trends

    @property
    def reason(self) -> str | None:
        """That of the group that is worst off."""
        return self._worst[1].reason if self._worst is not None else None

    @property
    def trend(self) -> Trend | None:
        """That of the group that is worst off."""
        worst = self._worst
        return self._trends(group_key(worst[0].key, worst[1].group)) if worst is not None else None

    @cached_property
    def lag_quality(self) -> LagQuality:
        return quality_of(self.infos)

    @cached_property
    def lag_s(self) -> float | None:
        return greatest([info.lag_seconds for info in self.infos])

    @cached_property
    def in_rate(self) -> float | None:
        return sum_of([stream.write_rate for stream in self._over])

    @cached_property
    def pending(self) -> int | None:
        return sum(info.pending for info in self.infos) if self.infos else None

    @cached_property
    def oldest_s(self) -> float | None:
        return greatest([info.oldest_pending_seconds for info in self.infos])

    @cached_property
    def headroom_s(self) -> float | None:
        return least([info.headroom_seconds for info in self.infos])

    @cached_property
    def lost(self) -> int | None:
        return sum_of([info.lost_unread for info in self.infos])

    @cached_property
    def consumers(self) -> int | None:
        """Different names: one consumer often reads many streams."""
        return len({each.consumer for info in self.infos for each in info.consumers}) if self.infos else None

    @cached_property
    def length(self) -> int:
        return sum(stream.length for stream in self._over)


def quality_of(infos: Iterable[GroupInfo]) -> LagQuality:
    """How well the lags of several groups are known together."""
    qualities = {info.lag_quality for info in infos}
    if not qualities - {"unknown"}:
        return "unknown"
    if qualities & {"unknown", "bounded"}:
        return "bounded"
    return "server" if "server" in qualities else "exact"


def _badness(member: tuple[StreamInfo, GroupInfo]) -> tuple[int, float, int]:
    info = member[1]
    return RANKS[info.status], info.lag_seconds or 0.0, info.lag or 0


class StreamRow(SumRow):
    """A stream with all its groups."""

    group = None

    def __init__(self, stream: StreamInfo, trends: Trends = no_trends) -> None:
        members = [(stream, info) for info in stream.groups]
        super().__init__(stream.key, members, over=(stream,), trends=trends)
        self.stream = stream

    @cached_property
    def lag(self) -> int | None:
        return greatest([info.lag for info in self.infos])

    @cached_property
    def out_rate(self) -> float | None:
        return least([info.read_rate for info in self.infos])

    @property
    def model(self) -> str | None:
        return self.stream.model_id

    @property
    def session(self) -> str:
        session = self.stream.session_id
        return session if session is not None else self.stream.key


class ModelRow(SumRow):
    """A group on all streams of a model; without a group, the model's streams that nobody reads."""

    session = None
    stream = None

    def __init__(
        self,
        model: str | None,
        group: str | None,
        members: Sequence[tuple[StreamInfo, GroupInfo]],
        over: Sequence[StreamInfo],
        trends: Trends = no_trends,
    ) -> None:
        super().__init__(f"{model or ''}{SEPARATOR}{group or ''}", members, over=over, trends=trends)
        self.model = model
        self.group = group

    @cached_property
    def lag(self) -> int | None:
        return sum_of([info.lag for info in self.infos])

    @cached_property
    def out_rate(self) -> float | None:
        return sum_of([info.read_rate for info in self.infos])
