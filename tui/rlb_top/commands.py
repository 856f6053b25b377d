"""What the command palette offers beyond Textual's own: the keys of the screen, the columns to sort by, and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider

from rlb.domain.stream_info import StreamInfo
from rlb_top import format as fmt
from rlb_top.screens.base import MonitorScreen
from rlb_top.screens.help import is_told, key_name
from rlb_top.screens.overview import OverviewScreen
from rlb_top.screens.stream import StreamScreen
from rlb_top.view import Sort
from rlb_top.widgets.table_keys import MOVE

MAX_STREAMS = 20
"""Streams that are offered at once."""


class Command(NamedTuple):
    """One line of the palette."""

    name: str
    help: str
    run: Callable[[], object]


class KeyCommands(Provider):
    """Everything that a key does here."""

    def _commands(self) -> Iterator[Command]:
        screen = self.screen
        seen: set[str] = set()
        for node, binding, is_enabled, tooltip in screen.active_bindings.values():
            if not is_enabled or not is_told(binding) or binding.group is MOVE or binding.action in seen:
                continue
            seen.add(binding.action)
            more = tooltip or binding.tooltip
            text = f"key {key_name(binding.key)}{f': {more}' if more else ''}"
            yield Command(binding.description, text, partial(self.app.run_action, binding.action, node))
        if isinstance(screen, OverviewScreen):
            for column in screen.table.columns:
                run = partial(screen.table.set_sort, Sort(column.id))
                yield Command(f"Sort by {column.title}", "the usual way round; r reverses it", run)

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(command.name, command.run, help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            if (score := matcher.match(command.name)) > 0:
                yield Hit(score, matcher.highlight(command.name), command.run, help=command.help)


class StreamCommands(Provider):
    """Going to a stream by a part of its name."""

    async def search(self, query: str) -> Hits:
        screen = self.screen
        if not isinstance(screen, MonitorScreen) or screen.state.picture.snapshot is None:
            return
        words = query.casefold().split()
        # A plain search, as a fuzzy one over thousands of names would be felt at each key.
        found = (
            stream
            for stream in screen.state.picture.snapshot.streams
            if all(word in f"go to stream {stream.key} {stream.model_id}".casefold() for word in words)
        )
        for stream in islice(found, MAX_STREAMS):
            name = f"Go to stream {fmt.line(stream.key)}"
            yield Hit(0.5, name, partial(self._go, screen, stream), help=f"model {fmt.line(stream.model_id or '-')}")

    def _go(self, screen: MonitorScreen, stream: StreamInfo) -> None:
        _ = self.app.push_screen(StreamScreen(screen.state, stream))
