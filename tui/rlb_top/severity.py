"""How bad a status is, and the mark that says so without a colour."""

from __future__ import annotations

from typing import Literal, NamedTuple

from rlb.domain.stream_info import GroupStatus

RowStatus = GroupStatus | Literal["unread"]
"""A group's status, or `unread`: no group reads the stream, so there is nothing to be behind."""


class Severity(NamedTuple):
    """One status as it is shown. `rank` orders them, the worst highest; `symbol` and `letter` take one column."""

    status: RowStatus
    rank: int
    symbol: str
    letter: str
    meaning: str

    @property
    def style(self) -> str:
        """The style class of what is in this state."""
        return f"-{self.status}"

    @property
    def text(self) -> str:
        """The mark and the word."""
        return f"{self.symbol} {self.status}"


SEVERITIES: tuple[Severity, ...] = (
    Severity("losing", 7, "✗", "X", "entries were removed unread, or soon will be"),
    Severity("stopped", 6, "■", "S", "entries wait, and no consumer calls"),
    Severity("stalled", 5, "◆", "T", "consumers call, but nothing is read"),
    Severity("rewound", 4, "↺", "R", "the group went back and reads again"),
    Severity("lagging", 3, "▲", "L", "behind, and not catching up"),
    Severity("unknown", 2, "?", "?", "the lag is not known, or not for long enough"),
    Severity("ok", 1, "●", "k", "nothing of this"),
    Severity("unread", 0, "○", "-", "no group reads it"),
)
"""The worst first."""

BY_STATUS: dict[RowStatus, Severity] = {severity.status: severity for severity in SEVERITIES}

RANKS: dict[RowStatus, int] = {severity.status: severity.rank for severity in SEVERITIES}
