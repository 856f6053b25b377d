"""What all screens share: the source, the last picture, what it was before, and what the person has chosen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rlb.domain.snapshot import Snapshot
from rlb_top.actions import Actions
from rlb_top.following import Lost
from rlb_top.history import History
from rlb_top.preferences import Preferences, save_preferences
from rlb_top.source import SnapshotSource


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to show. `received_s` is when the snapshot came, by the clock of this process."""

    snapshot: Snapshot | None = None
    received_s: float | None = None
    lost: Lost | None = None
    """Why the source is away, while it is; the snapshot is the last one from before."""
    is_over: bool = False
    """Whether the recording has ended."""

    def age_s(self, now_s: float) -> float | None:
        """How long ago the snapshot came."""
        return max(0.0, now_s - self.received_s) if self.received_s is not None else None


NOTHING_YET = Picture()


@dataclass
class State:
    """One for a run. Only the app sets the picture; screens read it."""

    source: SnapshotSource
    preferences: Preferences = field(default_factory=Preferences)
    preferences_path: Path | None = None
    """Where preferences are kept; None: nowhere."""
    read_only: bool = False
    clock: Callable[[], float] = time.time
    history: History = field(default_factory=History)
    picture: Picture = NOTHING_YET

    @property
    def actions(self) -> Actions | None:
        """What may be changed, and is."""
        return None if self.read_only else self.source.actions

    def remember(self, preferences: Preferences) -> str | None:
        """Keep what was chosen; a note if that cannot be done."""
        self.preferences = preferences
        return save_preferences(preferences, self.preferences_path) if self.preferences_path is not None else None
