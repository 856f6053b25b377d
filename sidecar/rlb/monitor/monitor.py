"""The monitor: finds streams, polls them in their turn, and keeps what is known of all of them."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from rlb.bridge.claim import Limits
from rlb.domain.census import OTHER, Census, GroupTotals, ModelTotals, Totals
from rlb.domain.keys import Keys
from rlb.domain.stream_info import StreamInfo
from rlb.errors import ApiError
from rlb.monitor.assess import Counted, assess
from rlb.monitor.counting import CensusTaker
from rlb.monitor.particulars import Particulars
from rlb.monitor.poller import Budget, Failed, Gone, Outcome, Poller, slices
from rlb.monitor.reading import Reading
from rlb.monitor.report import severity, stream_info
from rlb.monitor.rules import rules_of
from rlb.monitor.state import StreamState
from rlb.monitor.watchlist import Watchlist
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.topology import Topology
from rlb.settings import Settings

_log = logging.getLogger("rlb.monitor")

FRESH_INTERVALS = 3
"""Polls that may fail before what the last one found is no longer told."""

MAX_PAIRS = 10_000
"""Pairs of model and group with totals of their own; what is read and lost beyond is counted as `other`."""

MAX_QUIET = 10
"""Polls without news after which the pause until the next one grows no more; each doubles it."""

COUNTED_AT_ONCE = 2000
"""Streams that are counted before the loop turns."""


NOT_POLLED = "not polled yet"


class PollObserver(Protocol):
    """Is told of what the polls cost."""

    def polled(self, seconds: float) -> None:
        """A poll of all streams that were due has ended."""

    def poll_failed(self, kind: str, count: int) -> None:
        """So many commands were refused, or got no answer; `kind` is the error's prefix, or `unavailable`."""

    def skipped(self, streams: int) -> None:
        """So many streams had to wait for the next poll."""


class NoPollObserver:
    """Nobody listens."""

    def polled(self, seconds: float) -> None: ...
    def poll_failed(self, kind: str, count: int) -> None: ...
    def skipped(self, streams: int) -> None: ...


class Monitor:
    """Watches streams. `own` gives the keys that this sidecar uses now, for the scope of that name."""

    def __init__(
        self,
        topology: Topology,
        keys: Keys,
        limits: Limits,
        settings: Settings,
        *,
        own: Callable[[], Iterable[str]] = tuple,
        observer: PollObserver | None = None,
    ) -> None:
        self.totals = Totals()
        self.clock_skew_s: float | None = None
        """Redis time minus ours."""
        self.last_success_s: float | None = None
        """Unix time of the last poll that Redis answered."""
        self.poll_s: float | None = None
        """How long that took."""
        self.trouble: str | None = NOT_POLLED
        """Why there is nothing to tell, or not all; None if all is well."""
        self.waiting = 0
        """Streams that the last poll had no budget for."""
        self._settings = settings.monitor
        self._prefix = keys.prefix
        self._rules = rules_of(settings)
        self._observer = observer or NoPollObserver()
        self._link = topology.blocking_link(keys.index, "monitor", 0.0)
        self._poller = Poller(self._link)
        self._particulars = Particulars(self._link, keys, limits)
        self._watchlist = Watchlist(self._link, keys, self._settings, own)
        self._identified = 0
        self._since_ms: int | None = None
        self._census = Census()
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        """One poll of all streams at a time."""
        self._slices = asyncio.Lock()
        """One reading of a stream at a time: an older one must not be taken after a newer one."""
        self._turned = asyncio.Event()

    # Life

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()

    def connect(self) -> None:
        """Only connect; `poll` is called by hand, or `resume` begins."""
        self._link.start()

    def pause(self) -> None:
        """Poll no more, at once, and forget all streams: another polls now, and what comes is its to count."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._watchlist.clear()
        self._census = Census()
        self._since_ms = self.last_success_s = self.poll_s = None
        self.trouble = NOT_POLLED

    def resume(self) -> None:
        """Begin to poll, as if for the first time."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="monitor")

    async def _run(self) -> None:
        interval_s = self._settings.interval_seconds
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            try:
                await self._poll(everything=False)
            except ApiError as error:
                self._fail("unavailable", error.detail)
            except Exception as error:  # noqa: BLE001 - one odd stream must not end the watching of all others
                _log.error("monitor.fault", extra={"fault": type(error).__name__})
                self._fail("internal", f"a fault: {type(error).__name__}")
            self._tell()
            await asyncio.sleep(max(0.0, begun_s + interval_s - loop.time()))

    def _fail(self, kind: str, reason: str) -> None:
        if self.trouble is None:
            _log.warning("monitor.poll_failed", extra={"reason": reason})
        self.trouble = reason
        self._observer.poll_failed(kind, 1)

    def _tell(self) -> None:
        self._turned.set()
        self._turned = asyncio.Event()

    async def turn(self) -> None:
        """Wait for the next poll to end, well or not."""
        await self._turned.wait()

    # Polling

    def watch(self, keys: Iterable[str]) -> None:
        """Watch these streams besides those that are found."""
        self._watchlist.watch(keys, is_asked_for=True)

    async def poll(self) -> None:
        """Poll every watched stream now, whether it is due or not.

        Raises:
            ApiError: Redis did not answer.
        """
        await self._poll(everything=True)

    async def _poll(self, *, everything: bool) -> None:
        async with self._lock:
            loop = asyncio.get_running_loop()
            begun_s, started_s = loop.time(), time.monotonic()
            now_ms = await self._prepare()
            await self._watchlist.look(begun_s, now_ms)
            states = self._watchlist.states
            due = [state for state in states.values() if everything or state.due_s <= begun_s]
            # Those that have waited longest come first, should there be too many.
            due.sort(key=lambda state: state.due_s)
            most = max(10.0, self._settings.commands_per_second * self._settings.interval_seconds)
            budget = Budget()
            polled = 0
            pieces = slices(due, budget)
            if everything:
                await self._poll_at_once(pieces, budget)
                polled = len(due)
            for piece in pieces:
                if budget.commands >= most:
                    break
                slice_s = time.monotonic()
                async with self._slices:
                    await self._poll_slice(piece, budget)
                polled += len(piece)
                # As much time for others as was taken.
                await asyncio.sleep(min(0.05, time.monotonic() - slice_s))
            skipped = len(due) - polled + self._watchlist.overflow
            await self._particulars.measure(list(states.values()))
            self._census = await self._count(now_ms)
            self.last_success_s, self.poll_s = time.time(), time.monotonic() - started_s
            self._report(budget, skipped)

    async def _poll_at_once(self, pieces: Iterator[list[StreamState]], budget: Budget) -> None:
        """Poll with two slices on the way: one is at Redis while the other is looked at."""

        async def work() -> None:
            for piece in pieces:
                await self._poll_slice(piece, budget)

        async with self._slices:
            await asyncio.gather(work(), work())

    async def _prepare(self) -> int:
        """Learn which server it is, after each connect, and what time it is there."""
        if self._identified != self._link.connects or self._poller.version is None:
            await self._link.ready()
            await self._poller.identify()
            self._identified = self._link.connects
            self._particulars.reconnected()
        asked_s = time.time()
        now_ms = await self._poller.now_ms()
        self.clock_skew_s = now_ms / 1000 - (asked_s + time.time()) / 2
        if self._since_ms is None:
            self._since_ms = now_ms
        return now_ms

    def _report(self, budget: Budget, skipped: int) -> None:
        assert self.poll_s is not None
        self._observer.polled(self.poll_s)
        if skipped:
            self._observer.skipped(skipped)
        for kind, count in budget.errors.items():
            self._observer.poll_failed(kind, count)
        self.waiting = skipped
        trouble = None
        if budget.errors:
            refused = ", ".join(f"{count} x {kind}" for kind, count in sorted(budget.errors.items()))
            trouble = f"Redis refused some of what was asked: {refused}"
        if trouble is not None and self.trouble is None:
            _log.warning("monitor.incomplete", extra={"reason": trouble})
        self.trouble = trouble

    async def _poll_slice(self, states: Sequence[StreamState], budget: Budget) -> list[Outcome]:
        await self._particulars.look_up_bounds(states, budget)
        outcomes = await self._poller.read(states, budget)
        now_s = asyncio.get_running_loop().time()
        for state, outcome in zip(states, outcomes, strict=True):
            self._take(state, outcome, now_s)
        return outcomes

    def _take(self, state: StreamState, outcome: Outcome, now_s: float) -> None:
        interval_s = self._settings.interval_seconds
        match outcome:
            case Gone():
                self._watchlist.drop(state.key)
            case Failed():
                state.error = outcome.kind
                state.due_s = now_s + interval_s
                if outcome.kind == "WRONGTYPE":
                    self._watchlist.drop(state.key)
            case Reading():
                counted = self._assess(state, outcome)
                if self._watchlist.holds(state):
                    self._add(state.model, counted)
                is_busy = counted.is_changed or any(group.lag.entries != 0 for group in state.groups)
                state.quiet = 0 if is_busy else min(state.quiet + 1, MAX_QUIET)
                longest_s = max(interval_s, self._settings.idle_interval_seconds)
                # A tenth early, so that a poll that begins a little early does not pass it over.
                state.due_s = now_s + 0.9 * min(longest_s, interval_s * 2**state.quiet)

    def _assess(self, state: StreamState, reading: Reading) -> Counted:
        version = self._poller.version
        since_ms = self._since_ms if self._since_ms is not None else reading.at_ms
        recomputes = version is not None and version.recomputes_entries_read
        return assess(state, reading, self._rules, since_ms=since_ms, recomputes_entries_read=recomputes)

    def _add(self, model: str, counted: Counted) -> None:
        if counted.entries_added or counted.trimmed or model not in self.totals.models:
            total = self.totals.models.setdefault(model, ModelTotals())
            total.entries_added += counted.entries_added
            total.trimmed += counted.trimmed
        for group, (read, lost) in counted.groups.items():
            pair = (model, group)
            if pair not in self.totals.groups and len(self.totals.groups) >= MAX_PAIRS:
                pair = (OTHER, OTHER)
            group_total = self.totals.groups.setdefault(pair, GroupTotals())
            group_total.entries_read += read
            group_total.lost += lost

    async def _count(self, now_ms: int) -> Census:
        taker = CensusTaker(self._rules, top=self._settings.top_streams, names=self._settings.top_names)
        states = list(self._watchlist.states.values())
        for start in range(0, len(states), COUNTED_AT_ONCE):
            taker.add(states[start : start + COUNTED_AT_ONCE], now_ms)
            await asyncio.sleep(0)
        return taker.finish(now_ms)

    # What is known

    @property
    def is_fresh(self) -> bool:
        """Whether the last poll that Redis answered is recent enough to be told."""
        if self.last_success_s is None or not self._link.is_up:
            return False
        return time.time() - self.last_success_s <= max(5.0, FRESH_INTERVALS * self._settings.interval_seconds)

    @property
    def census(self) -> Census:
        """The last count of all streams; empty once it is too old, so that nobody takes it for the present."""
        return self._census if self.is_fresh else Census()

    @property
    def last_census(self) -> Census:
        """The last count of all streams, however old; its `at` says when it was."""
        return self._census

    @property
    def server_version(self) -> str | None:
        """Product and version of Redis."""
        return str(self._poller.version) if self._poller.version is not None else None

    @property
    def states(self) -> Iterable[StreamState]:
        """What is known of each watched stream."""
        return self._watchlist.states.values()

    @property
    def watched(self) -> int:
        """How many streams are watched."""
        return len(self._watchlist.states)

    def worst(self, limit: int) -> list[StreamState]:
        """The streams that are worst off, at most so many, as of their last poll."""
        now_ms = self._now_ms()
        known = (state for state in self._watchlist.states.values() if state.facts is not None and state.error is None)
        return heapq.nlargest(limit, known, key=lambda state: severity(state, now_ms))

    def told(self, state: StreamState) -> StreamInfo:
        """A stream as the API tells it."""
        return stream_info(state, self._prefix, self._rules, self._now_ms())

    def _now_ms(self) -> int:
        return round((time.time() + (self.clock_skew_s or 0.0)) * 1000)

    async def look(self, keys: Sequence[str]) -> list[StreamInfo]:
        """What Redis says of these streams now, with the history of those that are watched; the others are left out.

        Raises:
            ApiError: Redis did not answer.
        """
        return [found for found in await self._look(keys) if isinstance(found, StreamInfo)]

    async def look_at(self, key: str) -> StreamInfo | None:
        """What Redis says of one stream now; None if there is none.

        Raises:
            WrongTypeError: the key holds something else.
            ApiError: Redis did not answer, or denies it.
        """
        found = (await self._look([key]))[0]
        if isinstance(found, Failed):
            raise api_error(ReplyError(found.kind), f"look at {key}")
        return found

    async def _look(self, keys: Sequence[str]) -> list[StreamInfo | Failed | None]:
        now_ms = await self._prepare()
        states = [self._watchlist.states.get(key) or StreamState(key, "") for key in keys]
        found: list[StreamInfo | Failed | None] = []
        budget = Budget()
        for piece in slices(states, budget):
            async with self._slices:
                outcomes = await self._poll_slice(piece, budget)
            for state, outcome in zip(piece, outcomes, strict=True):
                is_told = isinstance(outcome, Reading)
                info = stream_info(state, self._prefix, self._rules, now_ms) if is_told else None
                found.append(outcome if isinstance(outcome, Failed) else info)
            await asyncio.sleep(0)
        return found
