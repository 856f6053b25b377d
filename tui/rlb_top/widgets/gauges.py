"""The numbers of the whole: how far behind, what was lost, in and out, each with its last ten minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from textual.content import Content
from textual.widget import Widget

from rlb.domain.snapshot import Snapshot
from rlb_top import format as fmt
from rlb_top.columns import ARROWS
from rlb_top.history import ALL, Field, History
from rlb_top.severity import SEVERITIES, RowStatus
from rlb_top.widgets.bars import bars
from rlb_top.widgets.cells import fitted_content
from rlb_top.widgets.charts import span_of

NARROW = 76
"""Width below which the last gauge gives way."""


class Gauge(NamedTuple):
    """A number with its name; `style` is the colour that says how bad it is."""

    label: str
    value: str
    style: str
    field: Field | None = None
    """What its chart shows."""
    note: str = ""
    """What is said instead of a chart."""


class Gauges(Widget):
    """Three lines: how many rows have each status, the numbers, and their charts."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history
        self._snapshot: Snapshot | None = None
        self._counts: Mapping[RowStatus, int] = {}

    def show(self, snapshot: Snapshot | None, counts: Mapping[RowStatus, int]) -> None:
        """Show these; `counts` is how many rows have each status."""
        self._snapshot, self._counts = snapshot, counts
        self.refresh()

    def render(self) -> Content:
        snapshot, width = self._snapshot, self.size.width
        if snapshot is None:
            return Content("")
        gauges = self._gauges(snapshot)[: 4 if width < NARROW else 5]
        widths = [(width - 1) // len(gauges)] * len(gauges)
        # The first has an arrow to show.
        widths[0], widths[-1] = widths[0] + 2, widths[-1] - 2
        values, charts = [Content(" ")], [Content(" ")]
        for gauge, wide in zip(gauges, widths, strict=True):
            values.append(
                fitted_content(Content.assemble((f"{gauge.label} ", "$quiet"), (gauge.value, gauge.style)), wide - 1)
                + Content(" ")
            )
            charts.append(fitted_content(self._chart(gauge, wide - 2), wide))
        return Content("\n").join([self._tally(snapshot, width), Content("").join(values), Content("").join(charts)])

    def _gauges(self, snapshot: Snapshot) -> list[Gauge]:
        totals, worst = snapshot.totals, self._worst()
        behind = (
            fmt.duration(totals.worst_lag_seconds)
            if totals.worst_lag_seconds is not None
            else _none_or_unknown(totals.unknown_lag)
        )
        arrow = ARROWS[self._history.trend(ALL)]
        return [
            Gauge("BEHIND", f"{behind} {arrow}", f"$severity-{worst} bold", "lag_s"),
            Gauge(
                "LOST",
                fmt.count(totals.lost_unread),
                "$severity-losing bold" if totals.lost_unread else "$severity-ok",
                "lost",
            ),
            Gauge("IN", f"{fmt.rate(totals.tokens_in)}/s", "bold", "in"),
            Gauge("OUT", f"{fmt.rate(totals.tokens_out)}/s", "bold", "out"),
            Gauge(
                "STREAMS",
                fmt.count(totals.streams),
                "bold",
                note=f"GROUPS {fmt.count(totals.groups)}" + (f" ?{totals.unknown_lag:,}" if totals.unknown_lag else ""),
            ),
        ]

    def _worst(self) -> RowStatus:
        """The worst status that a group has."""
        return next((each.status for each in SEVERITIES if self._counts.get(each.status)), "ok")

    def _chart(self, gauge: Gauge, width: int) -> Content:
        if gauge.field is None:
            return Content.assemble((gauge.note, "$quiet"))
        series = self._history.series(ALL, gauge.field, width, span_s=span_of(self._history, ALL, "lost"))
        return Content.assemble((bars(series, 1)[0], "$primary" if gauge.style == "bold" else gauge.style))

    def _tally(self, snapshot: Snapshot, width: int) -> Content:
        """How many rows have each status, the worst first; what nothing has is left out."""
        parts: list[tuple[str, str] | str] = [" "]
        for severity in SEVERITIES:
            if number := self._counts.get(severity.status):
                style = f"$severity-{severity.status} bold" if severity.rank > 1 else f"$severity-{severity.status}"
                parts += [(f"{severity.symbol} {number:,} {severity.status}", style), "  "]
        left = Content.assemble(*parts)
        shown, there = len(snapshot.streams), snapshot.totals.streams
        right = f"the worst {shown:,} of {there:,} streams " if shown < there else ""
        return fitted_content(left, max(0, width - len(right))) + Content.assemble((right, "$quiet"))


def _none_or_unknown(unknown: int) -> str:
    """What is said where nothing is known to be behind."""
    return fmt.UNKNOWN if unknown else fmt.NONE
