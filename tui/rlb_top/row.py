"""What every line of the table tells, whatever it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from rlb.domain.lag import LagQuality
from rlb.domain.stream_info import GroupInfo, StreamInfo
from rlb_top.history import Trend
from rlb_top.severity import RowStatus

Mode = Literal["groups", "models", "streams"]

MODES: tuple[Mode, ...] = ("groups", "models", "streams")

Trends = Callable[[str], Trend | None]
"""The trend of a group on a stream, by the key of its row."""


def no_trends(key: str) -> None:
    """What is known without a history."""
    del key


class Row(Protocol):
    """One line. Seconds and entries a second; unknown is None."""

    @property
    def key(self) -> str:
        """What the line is about, whatever its place: the same in every snapshot."""
        ...

    @property
    def status(self) -> RowStatus: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...
    @property
    def session(self) -> str | None:
        """The session, or the key of a stream that does not follow the template; None for a whole model."""
        ...

    @property
    def stream(self) -> StreamInfo | None: ...
    @property
    def streams(self) -> int: ...
    @property
    def infos(self) -> Sequence[GroupInfo]:
        """The groups that the line sums up."""
        ...

    @property
    def lag(self) -> int | None: ...
    @property
    def lag_quality(self) -> LagQuality: ...
    @property
    def lag_s(self) -> float | None: ...
    @property
    def trend(self) -> Trend | None: ...
    @property
    def in_rate(self) -> float | None: ...
    @property
    def out_rate(self) -> float | None: ...
    @property
    def pending(self) -> int | None: ...
    @property
    def oldest_s(self) -> float | None: ...
    @property
    def headroom_s(self) -> float | None: ...
    @property
    def lost(self) -> int | None: ...
    @property
    def consumers(self) -> int | None: ...
    @property
    def length(self) -> int: ...
