"""Who is told of what polls cost."""

from __future__ import annotations

from typing import Protocol


class PollObserver(Protocol):
    """Is told of what the polls cost."""

    def polled(self, seconds: float) -> None:
        """A poll of all streams that were due has ended."""

    def poll_failed(self, kind: str, count: int) -> None:
        """So many commands were refused, or got no answer; `kind` is the error's prefix, or `unavailable`."""

    def skipped(self, streams: int) -> None:
        """So many streams had to wait for the next poll."""


class NoPollObserver:
    """Nobody listens."""

    def polled(self, seconds: float) -> None: ...
    def poll_failed(self, kind: str, count: int) -> None: ...
    def skipped(self, streams: int) -> None: ...
