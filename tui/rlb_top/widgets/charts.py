"""Charts of one row over the last minutes. What is not known, or was not watched, is left blank."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget

from rlb_top import format as fmt
from rlb_top.history import SPAN_S, Field, History
from rlb_top.widgets.bars import bars, nice_time, nice_top
from rlb_top.widgets.cells import fitted_content

SPANS_S = (60.0, 120.0, 300.0, SPAN_S)
"""A chart begins with the shortest and goes on to the next when the history has outgrown it."""


def span_of(history: History, key: str, field: Field) -> float:
    """How far back a chart has to go to show all that there is."""
    parts = history.series(key, field, round(SPAN_S / SPANS_S[0]))
    first = next((index for index, number in enumerate(parts) if number is not None), len(parts) - 1)
    there_s = (len(parts) - first) * SPANS_S[0]
    return next(span for span in SPANS_S if span >= there_s)


class Chart(Widget):
    """One number over time: its name, its latest value and the end of the scale, then the bars, then the time."""

    def __init__(self, title: str, field: Field, show: Callable[[float | None], str], style: str) -> None:
        super().__init__(classes=f"-{field.replace('_', '-')}")
        self._title, self._field, self._show, self._style = title, field, show, style
        self._series: Sequence[float | None] = ()
        self._top = 1.0
        self._span_s = SPANS_S[0]

    @property
    def field(self) -> Field:
        """What is shown."""
        return self._field

    def greatest(self) -> float:
        """The greatest number that is shown."""
        return max((number for number in self._series if number is not None), default=0.0)

    def take(self, history: History, key: str, style: str | None = None) -> None:
        """Show the history of this row."""
        self._span_s = span_of(history, key, self._field)
        self._series = history.series(key, self._field, max(1, self.size.width - 2), span_s=self._span_s)
        self._style = style or self._style
        self.scale(self.greatest())

    def scale(self, greatest: float) -> None:
        """Have the scale end at a round number at or above this."""
        self._top = nice_time(greatest) if self._field == "lag_s" else nice_top(greatest)
        self.refresh()

    def render(self) -> Content:
        width, height = self.size.width - 2, self.size.height
        if width < 8 or height < 3 or not self._series:
            return Content("")
        latest = self._show(self._series[-1])
        end = f"≤{self._show(self._top)}"
        title = Content.assemble((f"{self._title} ", "$quiet"), (latest, f"{self._style} bold"))
        if title.cell_length + 1 + len(end) > width:
            end = ""
        lines = [fitted_content(title, width - len(end)) + Content.assemble((end, "$quiet"))]
        lines += [Content.assemble((row, self._style)) for row in bars(self._series, height - 2, self._top)]
        ago = f"{fmt.duration(self._span_s).removesuffix('00s')} ago"
        lines.append(Content.assemble((f"{ago}{'now'.rjust(width - len(ago))}", "$quiet")))
        return Content("\n").join([Content(" ") + line for line in lines])


class Charts(Horizontal):
    """How far a group is behind, in time and in entries, and what comes in and goes out, on one scale."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history
        self._key: str | None = None
        self.behind = Chart("BEHIND", "lag_s", fmt.duration, "$primary")
        self.lag = Chart("UNREAD", "lag", _count, "$primary")
        self.came = Chart("IN/S", "in", fmt.rate, "$accent")
        self.went = Chart("OUT/S", "out", fmt.rate, "$accent")

    def compose(self) -> ComposeResult:
        yield from (self.behind, self.lag, self.came, self.went)

    def show(self, key: str | None, style: str = "$primary") -> None:
        """Show this row of the history; the style says how bad it is."""
        self._key = key
        if key is None or not self.display or not self.size.height:
            return
        self.behind.take(self._history, key, style)
        self.lag.take(self._history, key, style)
        rates = (self.came, self.went)
        for chart in rates:
            chart.take(self._history, key)
        greatest = max(chart.greatest() for chart in rates)
        for chart in rates:
            chart.scale(greatest)


def _count(number: float | None) -> str:
    return fmt.count(None if number is None else round(number))
