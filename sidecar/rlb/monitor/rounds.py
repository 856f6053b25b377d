"""Rounds: the watched streams polled, slice by slice, and what was read taken into what is kept of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rlb.bridge.claim import Limits
from rlb.domain.census import OTHER, GroupTotals, ModelTotals, Totals
from rlb.domain.keys import Keys
from rlb.errors import place_of
from rlb.monitor.assess import Counted, assess
from rlb.monitor.budget import Budget, slices
from rlb.monitor.observed import Observed
from rlb.monitor.particulars import Particulars
from rlb.monitor.poller import Poller
from rlb.monitor.reading import Failed, Gone, Outcome, Reading
from rlb.monitor.rules import Rules
from rlb.monitor.state import StreamState
from rlb.monitor.watchlist import Watchlist
from rlb.redis_io.link import Link
from rlb.settings import MonitorSettings

_log = logging.getLogger("rlb.monitor")

MAX_PAIRS = 10_000
"""Pairs of model and group with totals of their own; what is read and lost beyond is counted as `other`."""

MAX_QUIET = 10
"""Polls without news after which the pause until the next one grows no more; each doubles it."""

LONGEST_PAUSE_S = 0.05
"""The longest pause between two slices; else it is as long as the slice took, so that others get their half."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to. `skipped` streams were due and had to wait, or are beyond those that are watched."""

    now_ms: int
    seconds: float
    skipped: int
    errors: dict[str, int]
    denied: set[str]
    is_in_vain: bool
    """Whether streams were polled and Redis refused to tell of every one of them."""
    is_partly_refused: bool
    """Whether Redis told of a stream, but not all that was asked."""


class Rounds:
    """Polls the streams of a watchlist over one link, one round at a time."""

    def __init__(
        self, link: Link, keys: Keys, limits: Limits, settings: MonitorSettings, rules: Rules, watchlist: Watchlist
    ) -> None:
        self.totals = Totals()
        self.clock_skew_s: float | None = None
        """Redis time minus ours, as far as the answers tell: none, if they allow it, and else the least change."""
        self.interval_s = settings.interval_seconds
        """Seconds between two polls of a stream that changes."""
        self.poller = Poller(link)
        self.observed = Observed(link, keys)
        self._link = link
        self._settings = settings
        self._rules = rules
        self._watchlist = watchlist
        self._particulars = Particulars(link, keys, limits)
        self._identified = 0
        self._since_ms: int | None = None
        self._round = asyncio.Lock()
        """One round at a time."""
        self._slices = asyncio.Lock()
        """One reading of a stream at a time: an older one must not be taken after a newer one."""

    def begin_anew(self) -> None:
        """Count from now on, as if for the first time."""
        self._watchlist.clear()
        self._since_ms = None

    async def go(self, *, everything: bool) -> Round:
        """Poll the streams that are due, as far as the budget goes; or all of them, whatever it costs.

        Raises:
            ApiError: Redis did not answer.
        """
        async with self._round:
            begun_s, started_s = asyncio.get_running_loop().time(), time.monotonic()
            now_ms = await self.prepare()
            await self._watchlist.look(begun_s, now_ms)
            states = self._watchlist.states
            due = [state for state in states.values() if everything or state.due_s <= begun_s]
            # Those that have waited longest come first, should there be too many.
            due.sort(key=lambda state: state.due_s)
            budget = Budget()
            pieces = slices(due, budget)
            if everything:
                await self._poll_at_once(pieces, budget, begun_s)
                polled = len(due)
            else:
                polled = await self._poll_in_turn(pieces, budget, begun_s)
            await self._particulars.measure(list(states.values()))
            if self._settings.scope == "own":
                await self.observed.ask()
            skipped = len(due) - polled + self._watchlist.overflow
            is_in_vain = polled > 0 and budget.failed == polled
            seconds = time.monotonic() - started_s
            return Round(now_ms, seconds, skipped, budget.errors, budget.denied, is_in_vain, budget.is_partly_refused)

    async def _poll_in_turn(self, pieces: Iterator[list[StreamState]], budget: Budget, begun_s: float) -> int:
        """Poll slice after slice, with pauses for others, until the budget is spent; gives how many were polled."""
        most = max(10.0, self._settings.commands_per_second * self.interval_s)
        polled = 0
        for piece in pieces:
            if budget.commands >= most:
                break
            since_s = time.monotonic()
            async with self._slices:
                await self._poll_slice(piece, budget, begun_s)
            polled += len(piece)
            await asyncio.sleep(min(LONGEST_PAUSE_S, time.monotonic() - since_s))
        return polled

    async def _poll_at_once(self, pieces: Iterator[list[StreamState]], budget: Budget, begun_s: float) -> None:
        """Poll with two slices on the way: one is at Redis while the other is looked at."""

        async def work() -> None:
            for piece in pieces:
                await self._poll_slice(piece, budget, begun_s)

        async with self._slices:
            await asyncio.gather(work(), work())

    async def look(self, keys: Sequence[str]) -> list[tuple[StreamState, Outcome]]:
        """Read these streams now, with the history of those that are watched.

        Raises:
            ApiError: Redis did not answer.
        """
        begun_s = asyncio.get_running_loop().time()
        await self.prepare()
        states = [self._watchlist.states.get(key) or StreamState(key, "") for key in keys]
        found: list[tuple[StreamState, Outcome]] = []
        budget = Budget()
        for piece in slices(states, budget):
            async with self._slices:
                found += zip(piece, await self._poll_slice(piece, budget, begun_s), strict=True)
            await asyncio.sleep(0)
        return found

    async def prepare(self) -> int:
        """Learn which server it is, after each connect, and what time it is there."""
        if self._identified != self._link.connects or self.poller.version is None:
            await self._link.ready()
            await self.poller.identify()
            self._identified = self._link.connects
            self._particulars.reconnected()
        asked_s = time.time()
        now_ms = await self.poller.now_ms()
        # Redis looked at its clock at some moment in between; which one, an answer that took long does not tell.
        least_s, most_s = now_ms / 1000 - time.time(), (now_ms + 1) / 1000 - asked_s
        self.clock_skew_s = min(max(self.clock_skew_s or 0.0, least_s), most_s)
        if self._since_ms is None:
            self._since_ms = now_ms
        return now_ms

    async def _poll_slice(self, states: Sequence[StreamState], budget: Budget, begun_s: float) -> list[Outcome]:
        """Read these streams. When they are due again counts from `begun_s`, when the round began, as the rounds do."""
        await self._particulars.look_up_bounds(states, budget)
        outcomes = await self.poller.read(states, budget)
        dues = dict[int, float]()
        for number, (state, outcome) in enumerate(zip(states, outcomes, strict=True)):
            try:
                self._take(state, outcome, begun_s, dues)
            except Exception as error:  # noqa: BLE001 - one odd stream must not end the watching of all others
                _log.error("monitor.fault", extra={"fault": type(error).__name__, "place": place_of(error)})
                budget.note_error("internal")
                outcomes[number] = Failed("internal")
                self._take(state, outcomes[number], begun_s, dues)
        return outcomes

    def _take(self, state: StreamState, outcome: Outcome, begun_s: float, dues: dict[int, float]) -> None:
        interval_s = self.interval_s
        match outcome:
            case Gone():
                if state.facts is not None and self._watchlist.holds(state):
                    gone = {group.name: group.lag.entries for group in state.groups if group.lag.entries}
                    self._add(state.model, Counted(trimmed=state.facts.length, gone=gone))
                self._watchlist.drop(state.key)
            case Failed():
                state.error = outcome.kind
                # A tenth early, see below: refused at every poll, it is told of at every poll, not at every second one.
                state.due_s = begun_s + 0.9 * interval_s
                if outcome.kind == "WRONGTYPE":
                    self._watchlist.drop(state.key)
            case Reading():
                counted = self._assess(state, outcome)
                if self._watchlist.holds(state):
                    self._add(state.model, counted)
                is_busy = counted.is_changed or any(group.lag.entries != 0 for group in state.groups)
                state.quiet = 0 if is_busy else state.quiet + 1
                doublings = min(state.quiet, MAX_QUIET)
                pause_s = min(max(interval_s, self._settings.idle_interval_seconds), interval_s * 2**doublings)
                # A tenth early, so that a poll that begins a little early does not pass it over; and one object for
                # all that are due together.
                state.due_s = dues.setdefault(doublings, begun_s + 0.9 * pause_s)

    def _assess(self, state: StreamState, reading: Reading) -> Counted:
        version = self.poller.version
        since_ms = self._since_ms if self._since_ms is not None else reading.at_ms
        recomputes = version is not None and version.recomputes_entries_read
        return assess(state, reading, self._rules, since_ms=since_ms, recomputes_entries_read=recomputes)

    def _add(self, model: str, counted: Counted) -> None:
        if counted.entries_added or counted.trimmed or model not in self.totals.models:
            total = self.totals.models.setdefault(model, ModelTotals())
            total.entries_added += counted.entries_added
            total.trimmed += counted.trimmed
        for group, (read, lost) in counted.groups.items():
            group_total = self._total_of(model, group)
            group_total.entries_read += read
            group_total.lost += lost
        for group, entries in counted.gone.items():
            self._total_of(model, group).gone += entries

    def _total_of(self, model: str, group: str) -> GroupTotals:
        pair = (model, group)
        if pair not in self.totals.groups and len(self.totals.groups) >= MAX_PAIRS:
            pair = (OTHER, OTHER)
        return self.totals.groups.setdefault(pair, GroupTotals())
