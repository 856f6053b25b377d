"""Which streams are watched: those that this sidecar uses, or all that match, from the index and from sweeps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rlb.domain.census import OTHER
from rlb.domain.key_pattern import KeyPattern, parse_pattern
from rlb.domain.keys import Keys
from rlb.domain.stream_key import parse_stream_key
from rlb.monitor.state import StreamState
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ConnectionLostError, ReplyError, api_error
from rlb.settings import MonitorSettings

_log = logging.getLogger("rlb.monitor")

SCAN_COUNT = 1000

MAX_LABELS = 1000
"""Models, or what patterns give in their place, that are told apart; the streams of more are `other`."""

OVERLAP_MS = 2000
"""Activity is noted in the index a moment after the write: look back this far so that none is passed over."""


class Watchlist:
    """The watched streams, by key."""

    def __init__(
        self, link: Link, keys: Keys, settings: MonitorSettings, own: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self.states: dict[str, StreamState] = {}
        self.overflow = 0
        """Streams that were found beyond `max_streams`, in the last look: they are not watched."""
        self._link = link
        self._keys = keys
        self._settings = settings
        self._own = own
        self._patterns = tuple(map(parse_pattern, settings.patterns or (f"{keys.prefix}:{{session}}:{{model}}",)))
        self._used_s: dict[str, float] = {}
        self._labels: set[str] = set()
        self._since_ms = 0
        self._next_sweep_s = 0.0

    def label(self, key: str) -> str | None:
        """The model of a stream, or what a pattern says stands for it; None if it is not to be watched."""
        stream = parse_stream_key(self._keys.prefix, key)
        for pattern in self._patterns:
            if (found := pattern.match(key)) is not None:
                return found if stream is None else stream.model_id
        return None

    def watch(self, keys: Iterable[str], *, is_asked_for: bool = False, is_active: bool = False) -> None:
        """Watch these streams, those that match no pattern only if they were asked for; poll active ones at once."""
        for key in keys:
            if (state := self.states.get(key)) is not None:
                if is_active:
                    state.due_s = 0.0
                continue
            label = self.label(key)
            if label is None and not is_asked_for:
                continue
            if len(self.states) >= self._settings.max_streams:
                self.overflow += 1
                continue
            self.states[key] = StreamState(key, self._bounded(label or OTHER))

    def _bounded(self, label: str) -> str:
        """The label, unless there are too many: then what stands for the rest."""
        if label not in self._labels:
            if len(self._labels) >= MAX_LABELS:
                return OTHER
            self._labels.add(label)
        return label

    def holds(self, state: StreamState) -> bool:
        """Whether this stream is watched, and not only looked at."""
        return self.states.get(state.key) is state

    def drop(self, key: str) -> None:
        """Watch a stream no more: it is gone."""
        self.states.pop(key, None)

    def clear(self) -> None:
        """Watch nothing, and find everything anew."""
        self.states.clear()
        self._since_ms = 0
        self._next_sweep_s = 0.0

    async def look(self, now_s: float, now_ms: int) -> None:
        """Find what there is to watch now; `now_s` is loop time, `now_ms` Redis time.

        Raises:
            ApiError: Redis did not answer.
        """
        self.overflow = 0
        if self._settings.scope == "own":
            self._look_at_own(now_s)
            return
        since_ms, self._since_ms = self._since_ms, now_ms - OVERLAP_MS
        active = await self._ask(b"ZRANGEBYSCORE", self._keys.index, since_ms, b"+inf")
        self.watch(_texts(active), is_active=True)
        if now_s >= self._next_sweep_s:
            self._next_sweep_s = now_s + self._settings.sweep_seconds
            for pattern in self._patterns:
                await self._sweep(pattern)
        if self.overflow:
            _log.warning("monitor.too_many_streams", extra={"watched": len(self.states), "not": self.overflow})

    def _look_at_own(self, now_s: float) -> None:
        """What the sidecar uses now, and what it used a while ago, as long as it exists.

        A stream on which some group still has to read or acknowledge is not forgotten: that is when it matters.
        """
        used = self._used_s
        own = tuple(self._own())
        used.update(dict.fromkeys(own, now_s))
        self.watch(used, is_asked_for=True)
        self.watch(own, is_asked_for=True, is_active=True)
        before_s = now_s - self._settings.forget_seconds
        for key in [key for key, at_s in used.items() if at_s < before_s]:
            if (state := self.states.get(key)) is None or not state.has_backlog:
                del used[key]
                self.drop(key)

    async def _sweep(self, pattern: KeyPattern) -> None:
        """Look through the key space for streams that others write."""
        cursor = b"0"
        while True:
            page = (b"SCAN", cursor, b"MATCH", pattern.glob, b"COUNT", SCAN_COUNT, b"TYPE", b"stream")
            cursor, found = await self._ask(*page)
            self.watch(_texts(found))
            if cursor == b"0":
                return

    async def _ask(self, *command: bytes | str | int) -> Any:
        reply = (await self._link.batch_raw([command]))[0]
        if isinstance(reply, ReplyError | ConnectionLostError):
            raise api_error(reply, "look for streams")
        return reply


def _texts(keys: Iterable[bytes]) -> Iterator[str]:
    """The keys that are text; others could neither be told nor be labels, and are left alone."""
    for key in keys:
        try:
            yield key.decode()
        except UnicodeDecodeError:
            continue
