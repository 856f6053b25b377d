"""Which source the arguments ask for, and what to try when it cannot be reached."""

from __future__ import annotations

from typing import Protocol

from rlb.settings import Settings, load_settings
from rlb_top.arguments import Arguments, UsageError
from rlb_top.rows import Mode
from rlb_top.source import SnapshotSource
from rlb_top.view import Sort, sort_of

INTERVAL_S = 2.0
"""Seconds between two polls of a Redis that is watched without a sidecar, unless set."""

REST_S = 10.0
"""Seconds between two polls of a stream at rest, and between two looks for new ones, unless set."""


class OpenSource(SnapshotSource, Protocol):
    """A source that can say beforehand whether it can be reached."""

    async def connect(self) -> None:
        """Reach it.

        Raises:
            SourceLostError: it cannot be reached; the text says why.
        """
        ...


def open_source(arguments: Arguments) -> OpenSource:
    """The source, not yet connected.

    Raises:
        SettingsError: the settings that it needs are bad.
        RecordingError: the file is no recording.
    """
    # Each needs libraries that the others do not.
    if arguments.replay is not None:
        from rlb_top.sources.recording import RecordingSource
        from rlb_top.sources.recording_file import RecordingFile

        file = RecordingFile(arguments.replay)
        start = file.number_at(arguments.at_s) if arguments.at_s is not None else 0
        if arguments.once and arguments.at_s is None:
            start = len(file.times_s) - 1
        return RecordingSource(file, start=start, speed=arguments.speed)
    if arguments.redis is not None:
        from rlb_top.sources.redis import RedisSource

        return RedisSource(_settings_of(arguments), limit=arguments.limit)
    from rlb_top.sources.socket import SocketSource

    return SocketSource(arguments.socket, limit=arguments.limit, read_only=arguments.read_only)


def asked_sort(text: str, mode: Mode) -> Sort:
    """The sorting that `--sort` names.

    Raises:
        UsageError: this mode has no such column.
    """
    try:
        return sort_of(text, mode)
    except ValueError as error:
        raise UsageError(f"--sort {text}: {error}") from None


def next_step(arguments: Arguments) -> str:
    """What to try."""
    if arguments.redis is not None:
        return "check the URL, and RLB_REDIS__USERNAME and RLB_REDIS__PASSWORD_FILE if it asks who you are"
    if arguments.socket is not None:
        return "is the sidecar running? `rlb run` starts one; --redis URL watches a Redis without one"
    return "start a sidecar with `rlb run`, name its socket with --socket, or watch a Redis itself with --redis URL"


def _settings_of(arguments: Arguments) -> Settings:
    """The settings of rlb, with what the arguments say; pictures come sooner than a sidecar's polls by default."""
    flags: dict[str, object] = {
        "redis.url": arguments.redis,
        "monitor.patterns": list(arguments.patterns) or None,
        "monitor.interval_seconds": arguments.interval_s,
    }
    defaults: dict[str, object] = {
        "monitor.interval_seconds": INTERVAL_S,
        "monitor.idle_interval_seconds": max(REST_S, arguments.interval_s or 0.0),
        "monitor.sweep_seconds": REST_S,
    }
    return load_settings(flags=flags, defaults=defaults)
