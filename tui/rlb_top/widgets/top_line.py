"""The line at the top of every screen: what is watched, how it is, and of when the picture is."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widget import Widget

from rlb_top import format as fmt
from rlb_top.state import Picture, State


class TopLine(Widget):
    """One line. It turns to the colour of trouble when the source or Redis is away."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state

    def show(self, picture: Picture) -> None:
        """Show how things are by now."""
        snapshot = picture.snapshot
        self.set_class(picture.lost is not None, "-lost")
        self.set_class(snapshot is not None and not snapshot.redis.up, "-down")
        self.refresh()

    def render(self) -> Content:
        state, picture = self._state, self._state.picture
        right = self._right(picture)
        room = self.size.width - len(right) - 3
        name = fmt.line(state.source.name)
        trouble = self._trouble(picture)
        parts = [(trouble, "bold")] if trouble is not None else self._calm(picture)
        told = sum(len(text) for text, _ in parts) + 2
        name = fmt.shortened(name, max(12, room - told))
        style = "bold" if trouble is not None else "$accent bold"
        left = Content.assemble((f" {name}", style), "  ", *parts).truncate(room, ellipsis=True)
        return Content.assemble(left.pad_right(max(0, room - left.cell_length)), "  ", right)

    def _trouble(self, picture: Picture) -> str | None:
        if (lost := picture.lost) is not None:
            again = f"trying again (attempt {lost.attempts + 1})" if lost.attempts else "trying again"
            return f"✗ no contact: {fmt.line(lost.reason)}; {again}"
        snapshot = picture.snapshot
        if snapshot is not None and not snapshot.redis.up:
            return f"✗ Redis is away: {fmt.line(snapshot.redis.reason or 'no reason given')}"
        return None

    def _calm(self, picture: Picture) -> list[tuple[str, str]]:
        snapshot = picture.snapshot
        if snapshot is None:
            return [("connecting…", "$quiet")]
        parts = [(fmt.line(snapshot.redis.version or "Redis, version unknown"), ""), (" ● up", "$severity-ok")]
        if snapshot.redis.reason:
            parts.append((f"  {fmt.line(snapshot.redis.reason)}", "$text-warning"))
        if snapshot.sidecar.scope == "off":
            parts.append(("  the monitor is off", "$text-warning"))
        return parts

    def _right(self, picture: Picture) -> str:
        """The time of the picture, in UTC, and its age when it is not fresh."""
        snapshot = picture.snapshot
        if snapshot is None or snapshot.at is None:
            return ""
        at = time.strftime("%H:%M:%S", time.gmtime(snapshot.at)) + "Z "
        age_s = picture.age_s(self._state.clock())
        usual_s = max(10.0, 3 * (self._state.source.interval_s or 0.0))
        if picture.is_over:
            return f"the end  {at}"
        if age_s is not None and (picture.lost is not None or age_s > usual_s) and self._is_live():
            return f"{fmt.duration(age_s)} old  {at}"
        return at

    def _is_live(self) -> bool:
        return self._state.source.playback is None
