"""The monitor: finds streams, polls them in their turn, and keeps what is known of all of them."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from rlb.bridge.claim import Limits
from rlb.domain.census import Census, Totals
from rlb.domain.keys import Keys
from rlb.domain.stream_info import StreamInfo
from rlb.errors import ApiError, place_of
from rlb.monitor.counting import CensusTaker
from rlb.monitor.observed import Leading
from rlb.monitor.poll_observer import NoPollObserver, PollObserver
from rlb.monitor.poller import DETAILS_EVERY
from rlb.monitor.reading import Failed, Reading
from rlb.monitor.report import severity, stream_info
from rlb.monitor.rounds import Round, Rounds
from rlb.monitor.rules import rules_of
from rlb.monitor.state import StreamState
from rlb.monitor.watchlist import Watchlist
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.topology import Topology
from rlb.settings import Settings

_log = logging.getLogger("rlb.monitor")

FRESH_INTERVALS = 3
"""Polls that may fail before what the last one found is no longer told."""

COUNTED_AT_ONCE = 2000
"""Streams that are counted before the loop turns."""


NOT_POLLED = "not polled yet"


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
        self._observer = observer or NoPollObserver()
        self._link = topology.blocking_link(keys.index, "monitor", 0.0)
        self._watchlist = Watchlist(self._link, keys, self._settings, own)
        self._rounds = Rounds(self._link, keys, limits, self._settings, rules_of(settings), self._watchlist)
        self._census = Census()
        self._task: asyncio.Task[None] | None = None
        self._turned = asyncio.Event()
        self._refused_until_s = 0.0
        self._longest_details_s = DETAILS_EVERY * max(
            self._settings.interval_seconds, self._settings.idle_interval_seconds
        )
        self._hurried = asyncio.Event()

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
        self._rounds.begin_anew()
        self._census = Census()
        self.last_success_s = self.poll_s = None
        self.trouble = NOT_POLLED

    def resume(self) -> None:
        """Begin to poll, as if for the first time."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="monitor")

    def unanswered(self, reason: str) -> None:
        """Redis could not be asked whether to poll: that is a failed poll too."""
        self._fail("unavailable", reason)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            try:
                await self._poll(everything=False)
            except ApiError as error:
                self._fail("unavailable", error.detail)
            except Exception as error:  # noqa: BLE001 - one odd stream must not end the watching of all others
                _log.error("monitor.fault", extra={"fault": type(error).__name__, "place": place_of(error)})
                self._fail("internal", f"a fault: {type(error).__name__}")
            self._tell()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(begun_s + self._rounds.interval_s):
                    await self._hurried.wait()
            self._hurried.clear()

    def set_interval(self, seconds: float) -> None:
        """Poll streams that change so often from now on, instead of what the settings say."""
        self._rounds.interval_s = seconds
        self._hurried.set()

    def _fail(self, kind: str, reason: str) -> None:
        if self.trouble in (None, NOT_POLLED):
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
        done = await self._rounds.go(everything=everything)
        self._census = await self._count(done.now_ms)
        self.poll_s = done.seconds
        if not done.is_in_vain:
            self.last_success_s = time.time()
        self._report(done)

    def _report(self, done: Round) -> None:
        self._observer.polled(done.seconds)
        if done.skipped:
            self._observer.skipped(done.skipped)
        for kind, count in done.errors.items():
            self._observer.poll_failed(kind, count)
        self.waiting = done.skipped
        trouble = None
        if done.errors:
            refused = ", ".join(f"{count} x {kind}" for kind, count in sorted(done.errors.items()))
            trouble = f"Redis refused some of what was asked: {refused}"
            if done.denied:
                trouble = f"{trouble}; its user lacks {', '.join(sorted(done.denied))}"
        if trouble is not None and self.trouble in (None, NOT_POLLED):
            _log.warning("monitor.incomplete", extra={"reason": trouble})
        if trouble is None and self._refused_until_s > time.monotonic():
            # What was refused in part is not asked at every poll: it is no better yet.
            return
        if done.is_partly_refused:
            self._refused_until_s = time.monotonic() + self._longest_details_s
        self.trouble = trouble

    async def _count(self, now_ms: int) -> Census:
        taker = CensusTaker(top=self._settings.top_streams, names=self._settings.top_names)
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
        return time.time() - self.last_success_s <= max(5.0, FRESH_INTERVALS * self._rounds.interval_s)

    @property
    def census(self) -> Census:
        """The last count of all streams; empty once it is too old, so that nobody takes it for the present."""
        return self._census if self.is_fresh else Census()

    @property
    def last_census(self) -> Census:
        """The last count of all streams, however old; its `at` says when it was."""
        return self._census

    @property
    def totals(self) -> Totals:
        """What was counted since the start."""
        return self._rounds.totals

    @property
    def clock_skew_s(self) -> float | None:
        """Redis time minus ours, in seconds."""
        return self._rounds.clock_skew_s

    @property
    def observed(self) -> Leading | None:
        """Whether an observer leads on this Redis, as of the last poll; None if that is not known, or not asked."""
        return self._rounds.observed.leading if self.is_fresh else None

    @property
    def server_version(self) -> str | None:
        """Product and version of Redis."""
        version = self._rounds.poller.version
        return str(version) if version is not None else None

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
        return self._told(state, self._now_ms())

    def _told(self, state: StreamState, now_ms: int) -> StreamInfo:
        return stream_info(state, self._prefix, now_ms)

    def _now_ms(self) -> int:
        return round((time.time() + (self.clock_skew_s or 0.0)) * 1000)

    async def look(self, keys: Sequence[str]) -> list[StreamInfo]:
        """What Redis says of these streams now, with the history of those that are watched; the others are left out.

        Raises:
            ApiError: Redis did not answer.
        """
        found = await self._rounds.look(keys)
        now_ms = self._now_ms()
        return [self._told(state, now_ms) for state, outcome in found if isinstance(outcome, Reading)]

    async def look_at(self, key: str) -> StreamInfo | None:
        """What Redis says of one stream now; None if there is none.

        Raises:
            WrongTypeError: the key holds something else.
            ApiError: Redis did not answer, or denies it.
        """
        ((state, outcome),) = await self._rounds.look([key])
        if isinstance(outcome, Failed):
            raise api_error(ReplyError(outcome.kind), f"look at {key}")
        return self.told(state) if isinstance(outcome, Reading) else None
