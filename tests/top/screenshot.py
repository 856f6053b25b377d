"""`make screenshot`: docs/rlb-top.svg, the overview at the worst moment of the recorded incident.

Nothing of it depends on when and where it is made: a test holds the file against the screen as it is now.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from rlb.domain.snapshot import Snapshot
from rlb_top.sources.recording_file import RecordingFile
from tests.support.scripted_source import ScriptedSource
from tests.top.incident import DATA
from tests.top.running import app_of, settled

PICTURE = Path(__file__).parent.parent.parent / "docs" / "rlb-top.svg"

SIZE = (120, 34)
"""Columns and lines: as wide as still reads well in a README, and tall enough for the charts."""

_FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Where the fonts would be fetched from: whoever looks at the picture should not have to tell anybody."""


def until_the_worst() -> list[Snapshot]:
    """The frames of the incident up to the one in which a group is furthest behind."""
    file = RecordingFile(DATA)
    frames = [file.frame(number) for number in range(len(file.times_s))]
    file.close()
    worst = max(range(len(frames)), key=lambda number: frames[number].totals.worst_lag_seconds or 0.0)
    return frames[: worst + 1]


async def picture() -> str:
    """The screen at that moment, as SVG."""
    app = app_of(ScriptedSource(*until_the_worst()))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        # Titles and sizes may change once more when the footer knows its keys.
        await pilot.pause(0.1)
        await pilot.pause()
        svg = _FONT_FACES.sub("", app.export_screenshot(title="rlb-top"))
    return "\n".join(line.rstrip() for line in svg.strip().splitlines()) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(picture()))
