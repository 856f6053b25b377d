"""A recording as a source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from rlb.domain.snapshot import Snapshot
from rlb_top.source import Component, Playback, SourceKind, SourceLostError
from rlb_top.sources.recording_file import RecordingError, RecordingFile

MIN_SPEED = 1 / 16
MAX_SPEED = 64.0


class RecordingSource:
    """Plays a recording at its own pace, faster or slower, or step by step.

    At the end it pauses, and plays from the beginning when it is let go on; with `ends` it ends there.
    """

    kind: SourceKind = "recording"
    actions = None
    details = None
    content = None
    interval_s: float | None = None

    def __init__(self, file: RecordingFile, *, start: int = 0, speed: float = 1.0, ends: bool = False) -> None:
        self.name = str(file.path)
        self._file = file
        self._ends = ends
        self._speed = speed
        self._is_paused = False
        self._position = start
        self._next: int | None = start
        """The frame that is to be shown without waiting; None: the one after `position`, in its time."""
        self._changed = asyncio.Event()

    @property
    def playback(self) -> Playback:
        return self

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    @is_paused.setter
    def is_paused(self, value: bool) -> None:
        if self._is_paused and not value and self._is_at_end():
            self._next = 0
        self._is_paused = value
        self._changed.set()

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._speed = min(MAX_SPEED, max(MIN_SPEED, value))
        self._changed.set()

    @property
    def position(self) -> int:
        return self._position

    @property
    def frames(self) -> int:
        return len(self._file.times_s)

    @property
    def position_s(self) -> float:
        return self._file.times_s[self._position]

    @property
    def length_s(self) -> float:
        return self._file.times_s[-1]

    def step(self, frames: int = 1) -> None:
        self._is_paused = True
        at = self._position if self._next is None else self._next
        self._next = min(self.frames - 1, max(0, at + frames))
        self._changed.set()

    async def connect(self) -> None:
        """Nothing: the file is open."""

    async def watch(self) -> AsyncGenerator[Snapshot, None]:
        if self._next is None:
            self._next = self._position
        while True:
            self._position, self._next = self._next, None
            try:
                yield self._file.frame(self._position)
            except RecordingError as error:
                raise SourceLostError(str(error)) from error
            if self._is_at_end():
                if self._ends:
                    return
                self._is_paused = True
            await self._wait()
            if self._next is None:
                self._next = self._position + 1

    def _is_at_end(self) -> bool:
        """Whether the last frame is shown, and no other is asked for."""
        return self._next is None and self._position == self.frames - 1

    async def _wait(self) -> None:
        """Return when the next frame is due, or another is asked for."""
        loop = asyncio.get_running_loop()
        left_s = 0.0 if self._position == self.frames - 1 else self._file.times_s[self._position + 1] - self.position_s
        while self._next is None and (self._is_paused or left_s > 0):
            began_s, speed, was_paused = loop.time(), self._speed, self._is_paused
            try:
                async with asyncio.timeout(None if was_paused else left_s / speed):
                    await self._changed.wait()
            except TimeoutError:
                return
            self._changed.clear()
            if not was_paused:
                left_s -= (loop.time() - began_s) * speed

    async def set_interval(self, seconds: float) -> None:
        raise ValueError(f"no interval ({seconds:g} s): a recording has its own pace, which its speed changes")

    async def health(self) -> Sequence[Component]:
        return ()

    async def close(self) -> None:
        self._file.close()
