"""The demo's screen: a picture in, something that Rich can draw out."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rlb.cli import text
from rlb.cli.demo.tally import FAST_GROUP, GroupTally, Picture, Row

NARROW = 100
"""Terminals with fewer columns do without the model's organisation, so that there is room for its words."""

OTHER_LINES = 11
"""Lines of the screen that are no chats: with one for a fault, and one to spare for the cursor."""

STYLES = {"waiting": "yellow", "streaming": "cyan", "stop": "green", "length": "magenta", "error": "red"}
MARKS = {"idle": " ", "waiting": "…", "streaming": "▸", "stop": "✓", "length": "✂", "error": "✗"}


def board(picture: Picture, width: int, height: int) -> RenderableType:
    """The whole screen for a terminal of this size; of many chats as many as there is room for."""
    shown = picture.rows[: max(1, height - OTHER_LINES)]
    hidden = len(picture.rows) - len(shown)
    more = Text(f"   and {text.plural(hidden, 'chat')} more" if hidden else "", style="dim")
    return Panel(
        Group(_chats(shown, width), more, _groups(picture), Text(), _outcome(picture)),
        title=Text.assemble(
            ("rlb demo", "bold"),
            (f"  {text.clock(picture.elapsed_s)}  ", "dim"),
            (f"{picture.tokens_per_second:,.0f} tokens/s", "bold cyan"),
        ),
        title_align="left",
        subtitle=Text("Ctrl-C ends it", style="dim"),
        subtitle_align="right",
        border_style="blue",
        box=box.ROUNDED,
        padding=(0, 1),
    )


def _chats(rows: tuple[Row, ...], width: int) -> Table:
    is_narrow = width < NARROW
    gap = 1 if is_narrow else 2
    made = Table(box=None, expand=True, pad_edge=False, header_style="dim", padding=(0, gap, 0, 0))
    made.add_column("", width=1)
    made.add_column("session", no_wrap=True, min_width=11)
    made.add_column("model", no_wrap=True, overflow="ellipsis", max_width=20 if is_narrow else 34)
    made.add_column("tokens", justify="right", no_wrap=True, min_width=6)
    made.add_column("per s", justify="right", no_wrap=True, min_width=5)
    made.add_column("text" if is_narrow else f"text, as {FAST_GROUP} reads it", ratio=1, no_wrap=True, overflow="crop")
    for row in rows:
        made.add_row(*_chat(row, width))
    return made


def _chat(row: Row, width: int) -> tuple[RenderableType, ...]:
    style = STYLES.get(row.state, "dim")
    is_live = row.state in ("waiting", "streaming")
    model = row.model_id.rpartition("/")[2] if width < NARROW else row.model_id
    pace = row.tokens_per_second
    return (
        Text(MARKS[row.state], style=style),
        Text(row.session_id or "-", style="" if is_live else "dim"),
        Text(model or "-", style="" if is_live else "dim"),
        Text(text.count(row.tokens) if row.tokens else "-", style="" if is_live else "dim"),
        Text(f"{pace:.0f}" if pace is not None else "-", style="" if is_live else "dim"),
        _End(row.text, "" if is_live else "dim"),
    )


class _End:
    """The end of a text, as much of it as fits into the cell."""

    def __init__(self, whole: str, style: str) -> None:
        self._whole = whole
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = text.tail_end(self._whole, options.max_width)
        while cell_len(shown) > options.max_width:  # some characters are two cells wide
            shown = f"…{shown[2:]}"
        yield Text(shown, style=self._style, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


def _groups(picture: Picture) -> Table:
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    made.add_column("", width=1)
    made.add_column("group", no_wrap=True, min_width=11)
    for name, width in (("delivered", 9), ("acked", 9), ("behind", 9), ("oldest unread", 13)):
        made.add_column(name, justify="right", no_wrap=True, min_width=width)
    made.add_column("", no_wrap=True)
    for group in picture.groups:
        mark, verdict, style = verdict_on(group)
        made.add_row(
            Text(mark, style=style),
            group.name,
            text.count(group.delivered),
            text.count(group.acked),
            Text(text.count(group.behind), style=style),
            text.duration(group.oldest_s) if group.oldest_s is not None else "-",
            Text(verdict, style=style),
        )
    return made


def verdict_on(group: GroupTally) -> tuple[str, str, str]:
    """Mark, words and style for how a group does."""
    if group.behind is None:
        return "…", "starting", "dim"
    if group.behind <= 100:
        return "●", "keeps up", "green"
    return "▲", "falls behind", "yellow"


def _outcome(picture: Picture) -> Text:
    """How much it was so far, and how the generations have ended."""
    shown = Text.assemble(
        (text.plural(picture.tokens, "token"), "bold"),
        f", {text.plural(sum(picture.finished.values()), 'generation')} ended:",
        no_wrap=True,
        overflow="ellipsis",
    )
    for reason in ("stop", "length", "error"):
        shown.append("  ")
        shown.append(f"{MARKS[reason]} {picture.finished.get(reason, 0):,} {reason}", style=STYLES[reason])
    if picture.faults:
        shown.append(f"\n{text.plural(picture.faults, 'fault')}, the last: {picture.last_fault}", style="red")
    return shown
