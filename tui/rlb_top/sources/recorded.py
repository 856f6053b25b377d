"""The recording of another source, while it is watched."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from rlb.domain.snapshot import Snapshot
from rlb_top.actions import Actions, Details
from rlb_top.source import Component, Content, Playback, SnapshotSource, SourceKind
from rlb_top.sources.recording_file import RecordingError, RecordingWriter

_log = logging.getLogger("rlb_top")


class Recorded:
    """Another source whose snapshots are written down as they pass. What cannot be written is only logged, once."""

    def __init__(self, source: SnapshotSource, writer: RecordingWriter) -> None:
        self._source = source
        self._writer: RecordingWriter | None = writer
        self._since_s: float | None = None
        self.failure: str | None = None
        """Why nothing is written any more."""

    async def watch(self) -> AsyncGenerator[Snapshot, None]:
        async with aclosing(self._source.watch()) as snapshots:
            async for snapshot in snapshots:
                self._write(snapshot)
                yield snapshot

    def _write(self, snapshot: Snapshot) -> None:
        if self._writer is None:
            return
        now_s = time.monotonic()
        self._since_s = now_s if self._since_s is None else self._since_s
        try:
            self._writer.add(now_s - self._since_s, snapshot)
        except RecordingError as error:
            self.failure = str(error)
            _log.error("recording.failed", extra={"reason": self.failure})
            self._stop_writing()

    def _stop_writing(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def kind(self) -> SourceKind:
        return self._source.kind

    @property
    def interval_s(self) -> float | None:
        return self._source.interval_s

    @property
    def actions(self) -> Actions | None:
        return self._source.actions

    @property
    def details(self) -> Details | None:
        return self._source.details

    @property
    def content(self) -> Content | None:
        return self._source.content

    @property
    def playback(self) -> Playback | None:
        return self._source.playback

    async def set_interval(self, seconds: float) -> None:
        await self._source.set_interval(seconds)

    async def health(self) -> Sequence[Component]:
        own = () if self.failure is None else (Component("recording", "down", reason=self.failure),)
        return [*await self._source.health(), *own]

    async def close(self) -> None:
        self._stop_writing()
        await self._source.close()
