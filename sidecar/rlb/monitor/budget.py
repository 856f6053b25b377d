"""What a poll may ask for at once, so that it holds nobody up: slices of streams, and a budget for counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rlb.monitor.state import StreamState
from rlb.redis_io.replies import ReplyError

SLICE_STREAMS = 128
"""Streams asked for together."""

SLICE_GROUPS = 256
"""Groups that those streams may have together."""

SLICE_BYTES = 1024 * 1024
"""Payload that the answers of a slice may hold, by what the streams' entries were last time."""

FIRST_GUESS_BYTES = 64 * 1024
"""Size that entries of a stream are taken to have before any stream was seen; then the largest of the last slice."""

COUNTED_A_POLL = 200_000
"""Entries that are counted in one poll of all streams, about 0.2 s of Redis's time; beyond, lags are `bounded`."""


@dataclass(slots=True)
class Budget:
    """What one poll of all streams may still count, and what it has sent."""

    counted: int = COUNTED_A_POLL
    guess_bytes: int = FIRST_GUESS_BYTES
    commands: int = 0
    failed: int = 0
    """Streams of which Redis refused to tell."""
    is_partly_refused: bool = False
    errors: dict[str, int] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    """What of it the user may not ask for, as `ReplyError.summary` says it."""

    def note_error(self, kind: str) -> None:
        self.errors[kind] = self.errors.get(kind, 0) + 1

    def note_reply(self, error: ReplyError) -> None:
        """Count an error reply, and keep what was denied."""
        self.note_error(error.prefix)
        if error.is_denial:
            self.denied.add(error.summary)


def slices(states: Iterable[StreamState], budget: Budget) -> Iterator[list[StreamState]]:
    """The streams in slices that are small enough to hold nobody up; ask for the next one when one has been read."""
    piece: list[StreamState] = []
    size = groups = 0
    for state in states:
        if piece and (len(piece) >= SLICE_STREAMS or size >= SLICE_BYTES or groups >= SLICE_GROUPS):
            yield piece
            piece, size, groups = [], 0, 0
        piece.append(state)
        size += 2 * (state.payload_bytes if state.facts is not None else budget.guess_bytes)
        groups += len(state.groups)
    if piece:
        yield piece
