"""Where snapshots come from: a sidecar, a Redis or a recording, behind one interface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rlb.domain.snapshot import Snapshot
from rlb_top.actions import Actions, Details

SourceKind = Literal["socket", "redis", "recording"]

ComponentState = Literal["up", "down", "starting", "stopping"]


class SourceLostError(Exception):
    """The source cannot be reached or read now; the message is the reason, in words for the person who watches."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of what is watched: how it is, since when (Unix seconds, where that is known), and why."""

    name: str
    state: ComponentState
    since: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a generation, as it came. Only `text` is what the model wrote; it is not fit for a terminal yet."""

    text: str
    missing: int | None = 0
    """Messages before this piece that are gone; None if there are some and nobody knows how many."""
    finish_reason: str | None = None
    """Why the generation ended, with its last piece."""


class Content(Protocol):
    """What models write. It is asked for only when somebody wants to see it."""

    def tail(self, session_id: str, model_id: str) -> AsyncGenerator[Piece, None]:
        """A generation from its beginning, then as it grows, up to its end.

        Raises:
            SourceLostError: there is no such stream any more, or the sidecar is away.
        """
        ...


class Playback(Protocol):
    """The controls of a recording."""

    is_paused: bool
    speed: float
    """Seconds of the recording in a second; at least `MIN_SPEED` and at most `MAX_SPEED` of `sources.recording`."""

    @property
    def position(self) -> int:
        """The frame that was given last, counted from 0."""
        ...

    @property
    def frames(self) -> int:
        """How many there are."""
        ...

    @property
    def position_s(self) -> float:
        """The time of that frame, from the beginning of the recording."""
        ...

    @property
    def length_s(self) -> float:
        """The time of the last frame."""
        ...

    def step(self, frames: int = 1) -> None:
        """Pause, and show the frame so many further on, or before if it is negative."""
        ...


class SnapshotSource(Protocol):
    """One source of snapshots. What it cannot offer is None, and the screens do not show it."""

    @property
    def name(self) -> str:
        """What is watched, without secrets: a path, or a URL with its password masked."""
        ...

    @property
    def kind(self) -> SourceKind: ...

    @property
    def interval_s(self) -> float | None:
        """Seconds between two snapshots, if somebody has set them; None: as they come."""
        ...

    @property
    def actions(self) -> Actions | None: ...

    @property
    def details(self) -> Details | None: ...

    @property
    def content(self) -> Content | None: ...

    @property
    def playback(self) -> Playback | None: ...

    def watch(self) -> AsyncGenerator[Snapshot, None]:
        """A snapshot now, and one after every poll. It ends where a recording does; `following.follow` goes on.

        Raises:
            SourceLostError: the source is away; the same call may work again later.
        """
        ...

    async def set_interval(self, seconds: float) -> None:
        """Have snapshots come so often from now on. A sidecar polls as it is set; of its snapshots some are left out.

        Raises:
            ValueError: `seconds` is not between `MIN_INTERVAL_S` and `MAX_INTERVAL_S`.
        """
        ...

    async def health(self) -> Sequence[Component]:
        """Every component with its state; none where the source has no say in it.

        Raises:
            SourceLostError: the source is away.
        """
        ...

    async def close(self) -> None:
        """Stop, and close every connection."""
        ...


MIN_INTERVAL_S = 0.2
MAX_INTERVAL_S = 3600.0


def checked_interval(seconds: float) -> float:
    """The interval, if snapshots may come so often."""
    if not MIN_INTERVAL_S <= seconds <= MAX_INTERVAL_S:
        raise ValueError(f"{MIN_INTERVAL_S:g} to {MAX_INTERVAL_S:g} seconds")
    return seconds
