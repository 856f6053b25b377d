"""Three ways to show the demo: drawn in a terminal, in lines of text, or in lines of JSON."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from rich.console import Console
from rich.live import Live

from rlb.cli.demo.board import board
from rlb.cli.demo.report import (
    Places,
    end_line,
    picture_event,
    progress_line,
    start_event,
    start_lines,
)
from rlb.cli.demo.tally import Picture, Tally
from rlb.cli.output import console, print_json_line
from rlb.settings import LogSettings
from rlb.telemetry.logs import configure_logs

FRAME_S = 0.125
LINE_S = 2.0


class Show(Protocol):
    """Told of the start, left to follow, told of the end."""

    def start(self, places: Places, chats: int) -> None: ...
    async def follow(self, tally: Tally) -> None: ...
    def end(self, picture: Picture) -> None: ...


class TextShow:
    """A line now and then: for a log, or for a pipe."""

    def start(self, places: Places, chats: int) -> None:
        print("\n".join(start_lines(places, chats)), flush=True)

    async def follow(self, tally: Tally) -> None:
        while True:
            await asyncio.sleep(LINE_S)
            print(progress_line(tally.picture(time.monotonic())), flush=True)

    def end(self, picture: Picture) -> None:
        print(end_line(picture), flush=True)


class TerminalShow(TextShow):
    """A panel that is drawn again and again below what was said at the start."""

    def __init__(self, log: LogSettings) -> None:
        self._console: Console = console()
        self._log = log

    async def follow(self, tally: Tally) -> None:
        with Live(console=self._console, auto_refresh=False) as live:
            # Again, as Live has put itself in the place of standard error: a log line goes above the panel.
            configure_logs(self._log.level, self._log.format)
            while True:
                width, height = self._console.size
                live.update(board(tally.picture(time.monotonic()), width, height), refresh=True)
                await asyncio.sleep(FRAME_S)


class JsonShow:
    """The same numbers for scripts."""

    def start(self, places: Places, chats: int) -> None:
        print_json_line({**start_event(places), "chats": chats})

    async def follow(self, tally: Tally) -> None:
        while True:
            await asyncio.sleep(LINE_S)
            print_json_line(picture_event("progress", tally.picture(time.monotonic())))

    def end(self, picture: Picture) -> None:
        print_json_line(picture_event("ended", picture))
