"""How fast pictures come, and changing that: an interval, or the speed of a recording."""

from __future__ import annotations

from rlb_top import format as fmt
from rlb_top.source import Playback, SnapshotSource

INTERVALS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Those that a key goes through."""


def pace_text(source: SnapshotSource) -> str:
    """The pace in few words; nothing if nobody has a say in it."""
    if (playback := source.playback) is not None:
        mark = "▮▮" if playback.is_paused else "▶"
        return f"{mark} {_clock(playback.position_s)} of {_clock(playback.length_s)} at {playback.speed:g}x"
    return f"every {source.interval_s:g} s" if source.interval_s is not None else ""


async def change_pace(source: SnapshotSource, step: int) -> str:
    """Go a step faster, or slower if it is negative; says what came of it.

    Raises:
        ValueError: the pace cannot be changed; the message says why.
    """
    if (playback := source.playback) is not None:
        playback.speed *= 2.0**step
        return f"speed {playback.speed:g}x"
    present_s = source.interval_s if source.interval_s is not None else 1.0
    if step > 0:
        wanted_s = max((each for each in INTERVALS_S if each < present_s), default=INTERVALS_S[0])
    else:
        wanted_s = min((each for each in INTERVALS_S if each > present_s), default=INTERVALS_S[-1])
    await source.set_interval(wanted_s)
    return f"a picture every {wanted_s:g} s"


def toggle(playback: Playback) -> None:
    """Pause a recording, or let it go on."""
    playback.is_paused = not playback.is_paused


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return fmt.duration(seconds) if whole >= 3600 else f"{whole // 60:02}:{whole % 60:02}"
