"""What is the matter with the row under the cursor, in words."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widget import Widget

from rlb_top import format as fmt
from rlb_top.columns import lag_text
from rlb_top.rows import Row
from rlb_top.severity import BY_STATUS, RowStatus

_TRENDS = {"rising": "getting worse", "falling": "catching up", "steady": "steady"}

_KEEPS_UP: dict[RowStatus, str] = {"ok": "keeps up"}


class Verdict(Widget):
    """Who is how, and why; then since when, whether it gets worse, and what may be lost."""

    def __init__(self) -> None:
        super().__init__()
        self._row: Row | None = None
        self._at: float | None = None

    def show(self, row: Row | None, at: float | None) -> None:
        """Tell of this row, as it was at that time."""
        self._row, self._at = row, at
        self.refresh()

    def render(self) -> Content:
        row = self._row
        if row is None:
            return Content("")
        severity = BY_STATUS[row.status]
        style = f"$severity-{row.status} bold"
        name = " on ".join(fmt.line(part) for part in (row.group, row.session or row.model) if part)
        why = fmt.line(row.reason or _KEEPS_UP.get(row.status) or severity.meaning)
        first = Content.assemble((f" {severity.text} ", style), (name, "bold"), f"  {why}")
        width, room = self.size.width, self.size.height - 1
        more = Content.assemble((second_line(row, self._at), "$quiet"))
        rest = more.wrap(width - 4)[:room] if room > 1 else [more]
        lines = [first, *(Content("   ") + line for line in rest)]
        return Content("\n").join([line.truncate(width, ellipsis=True) for line in lines])


def second_line(row: Row, at: float | None) -> str:
    """Since when the row is behind, where that is going, what will be lost and who reads."""
    parts: list[str] = []
    if row.lag_s is not None and row.lag and at is not None:
        since = time.strftime("%H:%M:%SZ", time.gmtime(at - row.lag_s))
        trend = f", {_TRENDS[row.trend]}" if row.trend is not None else ""
        parts.append(f"{lag_text(row)} unread since {since} ({fmt.duration(row.lag_s)}){trend}")
    elif row.infos and row.lag is None:
        parts.append("the lag is not known")
    if row.lost:
        parts.append(f"{fmt.count(row.lost)} lost unread")
    if row.headroom_s is not None and row.lag:
        parts.append(f"{fmt.duration(row.headroom_s)} until data is lost")
    if row.infos:
        dead = {each.consumer for info in row.infos for each in info.consumers if each.state == "dead"}
        consumers = fmt.plural(row.consumers or 0, "consumer")
        parts.append(f"{consumers}, {len(dead)} dead" if dead else consumers)
    return " · ".join(parts)
