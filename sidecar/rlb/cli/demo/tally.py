"""What the demo has seen so far, and the frozen picture of it that the screen and the reports are drawn from."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rlb.domain.stream_info import StreamInfo

FAST_GROUP = "live-view"
SLOW_GROUP = "archiver"

RATE_WINDOW_S = 4.0
TEXT_KEPT = 400
"""Characters of an answer that are remembered; a line of the screen shows fewer."""

State = Literal["idle", "waiting", "streaming", "stop", "length", "error"]


@dataclass(slots=True)
class Row:
    """One chat on the screen. Its text is what came back through Redis, not what was sent."""

    session_id: str = ""
    model_id: str = ""
    state: State = "idle"
    tokens: int = 0
    first_token_s: float | None = None
    last_token_s: float | None = None
    text: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """The pace since the first token."""
        if self.first_token_s is None or self.last_token_s is None or self.last_token_s <= self.first_token_s:
            return None
        return (self.tokens - 1) / (self.last_token_s - self.first_token_s)


@dataclass(slots=True)
class GroupTally:
    """One consumer group. `behind` and `oldest_s` are what Redis says; None until it was asked."""

    name: str
    delivered: int = 0
    acked: int = 0
    behind: int | None = None
    oldest_s: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything at one moment."""

    elapsed_s: float
    rows: tuple[Row, ...]
    groups: tuple[GroupTally, ...]
    tokens: int
    tokens_per_second: float
    finished: dict[str, int]
    faults: int
    last_fault: str

    @property
    def in_flight(self) -> int:
        """Generations that have begun and not ended."""
        return sum(row.state in ("waiting", "streaming") for row in self.rows)


@dataclass(slots=True)
class Tally:
    """Counts; `now_s` is any clock that only goes forward."""

    start_s: float
    rows: list[Row]
    groups: dict[str, GroupTally] = field(
        default_factory=lambda: {name: GroupTally(name) for name in (FAST_GROUP, SLOW_GROUP)}
    )
    tokens: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    last_fault: str = ""
    _history: deque[tuple[float, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._history.append((self.start_s, 0))

    def begin(self, row: Row, session_id: str, model_id: str) -> None:
        """A generation has been asked for."""
        row.session_id, row.model_id, row.state = session_id, model_id, "waiting"
        row.tokens, row.first_token_s, row.last_token_s, row.text = 0, None, None, ""

    def token(self, row: Row, now_s: float) -> None:
        """A token was sent."""
        if row.first_token_s is None:
            row.first_token_s = now_s
        row.state, row.last_token_s = "streaming", now_s
        row.tokens += 1
        self.tokens += 1

    def finish(self, row: Row, reason: State) -> None:
        """The generation has ended, and every token has its ack."""
        row.state = reason
        self.finished[reason] += 1

    def fault(self, row: Row, reason: str) -> None:
        """The generation could not be written."""
        row.state = "error"
        self.faults += 1
        self.last_fault = reason

    def came_back(self, session_id: str, model_id: str, token: str) -> None:
        """A token was delivered to the group that the screen reads with."""
        for row in self.rows:
            if (row.session_id, row.model_id) == (session_id, model_id):
                row.text = (row.text + token)[-TEXT_KEPT:]

    def inspected(self, infos: Sequence[StreamInfo]) -> None:
        """Redis was asked how far each group is: behind is what was not delivered or not acknowledged."""
        for name, tally in self.groups.items():
            own = [group for info in infos for group in info.groups if group.group == name]
            tally.behind = sum((group.lag or 0) + group.pending for group in own)
            tally.oldest_s = max((group.lag_seconds for group in own if group.lag and group.lag_seconds), default=None)

    def picture(self, now_s: float) -> Picture:
        """Everything as it is now; to be called at intervals, as the rate is taken between two calls."""
        self._history.append((now_s, self.tokens))
        while now_s - self._history[0][0] > RATE_WINDOW_S and len(self._history) > 2:
            self._history.popleft()
        since_s, before = self._history[0]
        rate = (self.tokens - before) / (now_s - since_s) if now_s > since_s else 0.0
        return Picture(
            elapsed_s=now_s - self.start_s,
            rows=tuple(self.rows),
            groups=tuple(self.groups.values()),
            tokens=self.tokens,
            tokens_per_second=rate,
            finished=dict(self.finished),
            faults=self.faults,
            last_fault=self.last_fault,
        )
