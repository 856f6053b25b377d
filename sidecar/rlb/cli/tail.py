"""`rlb tail`: the tokens of a stream as they come."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from rlb.cli import text
from rlb.cli.connection import STREAM_PATIENCE_S, with_bridge
from rlb.cli.options import JsonOption, ModelOption, SessionOption, SocketOption, check_start
from rlb.cli.output import note, print_json_line

if TYPE_CHECKING:
    from rlb.client import Bridge, Tail
    from rlb.domain.entry import Gap
    from rlb.domain.entry_id import EntryId
    from rlb.domain.message import StreamMessage

FOREVER_S = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Request:
    """Which messages are wanted."""

    session_id: str
    model_id: str
    start: str
    wait_s: float
    follows: bool | None


class Printer:
    """Prints messages: as text that flows, or as lines of JSON."""

    def __init__(self, *, as_json: bool, is_terminal: bool) -> None:
        self._as_json = as_json
        self._is_terminal = is_terminal
        self._is_at_line_start = True

    def message(self, entry_id: str | None, message: StreamMessage) -> None:
        """Print a message; what a terminal would obey is replaced, what goes into a pipe is left as it is."""
        if self._as_json:
            print_json_line({"entryId": entry_id, "message": message.model_dump(by_alias=True, exclude_unset=True)})
            return
        shown = text.printable(message.token) if self._is_terminal else message.token
        if shown:
            print(shown, end="", flush=True)
            self._is_at_line_start = shown.endswith("\n")
        if message.is_complete:
            self.end_line()
            reason = message.payload.finish_reason
            if reason not in (None, "stop"):
                self.remark(f"the generation ended with {text.printable(str(reason))!r}")

    def remark(self, remark: str) -> None:
        """Say something beside the messages."""
        self.end_line()
        note(remark)

    def end_line(self) -> None:
        """Leave the line where text stands, if somebody looks; a file gets the text and nothing else."""
        if self._is_terminal and not self._as_json and not self._is_at_line_start:
            print(flush=True)
            self._is_at_line_start = True


def tail(
    session: SessionOption,
    model: ModelOption,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="0|$|ID",
            help="0: from the first message that there is. $: from now on. An entry id: behind it.",
            callback=check_start,
        ),
    ] = "0",
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            "-f",
            help="Go on with the next generations, or stop at what is there now; by default, to the generation's end.",
        ),
    ] = None,
    wait_s: Annotated[
        float, typer.Option("--wait", metavar="S", min=0, help="Seconds to wait for a stream that is not there yet.")
    ] = 0.0,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the tokens of a stream as they come, to the end of the generation.

    With --json, a line {"entryId", "message"} for each message. What Redis no longer holds is told on standard error.
    """
    request = Request(session, model, start, FOREVER_S if follow else wait_s, follow)
    printer = Printer(as_json=as_json, is_terminal=sys.stdout.isatty())
    try:
        with_bridge(socket, lambda bridge: _print_messages(bridge, request, printer), patience_s=STREAM_PATIENCE_S)
    finally:
        printer.end_line()


async def _print_messages(bridge: Bridge, request: Request, printer: Printer) -> None:
    start, until = request.start, None
    if request.follows is False:
        until = await _newest(bridge, request)
        if until is None:
            return
    while True:
        tail = bridge.tail(
            request.session_id,
            request.model_id,
            start=start,
            wait_s=request.wait_s,
            on_gap=lambda gap: printer.remark(gap_notice(gap)),
        )
        async for message in tail:
            printer.message(tail.last_entry_id, message)
            if until is not None and _has_reached(tail, until):
                return
        if tail.unreadable:
            printer.remark(f"passed over {text.plural(tail.unreadable, 'entry')} without a message of rlb's")
        if until is None and not request.follows:
            return
        start = tail.last_entry_id or start


async def _newest(bridge: Bridge, request: Request) -> EntryId | None:
    """The last entry that is there now; None if it is not behind the start."""
    from rlb.domain.entry_id import ZERO, parse_entry_id

    info = await bridge.stream_info(request.session_id, request.model_id)
    if info.last_entry_id is None or request.start == "$":
        return None
    newest = parse_entry_id(info.last_entry_id)
    return newest if newest > (ZERO if request.start == "0" else parse_entry_id(request.start)) else None


def _has_reached(tail: Tail, until: EntryId) -> bool:
    from rlb.domain.entry_id import parse_entry_id

    return tail.last_entry_id is not None and parse_entry_id(tail.last_entry_id) >= until


def gap_notice(gap: Gap) -> str:
    """What is missing, as far as it can be known."""
    how_many = "messages" if gap.missing is None else text.plural(gap.missing, "message")
    return f"gap: {how_many} between {gap.after} and {gap.before}, no longer in Redis"
