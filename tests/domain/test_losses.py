"""Losses: never more than there were, and all of them where the group's place was known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.lag import Lag, ToCount, lag_of
from rlb.domain.losses import Footing, footing_of, lost_before, lost_between
from rlb.domain.positions import Positions
from tests.domain.simulated_stream import SimulatedStream
from tests.support.fuzz import examples

STEPS = st.lists(
    st.tuples(st.sampled_from(("add", "read", "trim", "delete")), st.integers(1, 9), st.booleans()), max_size=60
)


class Watcher:
    """Polls a simulated stream and adds up what it says was lost."""

    def __init__(self, stream: SimulatedStream) -> None:
        self.stream = stream
        self.positions = Positions()
        self.footing: Footing | None = None
        self.lost = 0

    def poll(self, *, entries_read: int | None = None, recomputes: bool = False) -> None:
        facts, group = self.stream.facts(), self.stream.group(entries_read=entries_read)
        self.positions.note(facts.last_generated_id, self.stream.added)
        lag = lag_of(facts, group, self.positions, trusts_server=False)
        if isinstance(lag, ToCount):
            lag = lag.counted(self.stream.count(lag.until))
        now = footing_of(facts, group, lag, self.positions, self.footing)
        assert now is not None
        if self.footing is not None:
            self.lost += lost_between(self.footing, now, recomputes=recomputes)
        self.footing = now
        self.positions.forget_below([self.stream.cursor])


@examples(500)
@given(STEPS)
def test_a_poll_after_every_step_sees_every_loss(steps: list[tuple[str, int, bool]]) -> None:
    stream = SimulatedStream()
    watcher = Watcher(stream)
    watcher.poll()
    for step, count, _ in steps:
        getattr(stream, step)(count)
        watcher.poll()
        assert watcher.lost == stream.lost


@examples(500)
@given(STEPS, st.booleans())
def test_seldom_polls_never_see_more_than_there_was(steps: list[tuple[str, int, bool]], recomputes: bool) -> None:
    """With `entries-read` as the two kinds of servers keep it: counting what was read, or the place in the stream."""
    stream = SimulatedStream()
    watcher = Watcher(stream)
    read = 0
    watcher.poll(entries_read=0, recomputes=recomputes)
    for step, count, is_polled in steps:
        before = len(stream.undelivered)
        getattr(stream, step)(count)
        if step == "read":
            read += before - len(stream.undelivered)
        if is_polled:
            watcher.poll(entries_read=stream.cursor.ms if recomputes else read, recomputes=recomputes)
            assert watcher.lost <= stream.lost


def test_a_group_that_reads_while_it_loses_is_seen_to_lose() -> None:
    """The usual way to lose: every poll finds the cursor moved, and trimmed past again."""
    stream = SimulatedStream()
    watcher = Watcher(stream)
    stream.add(100)
    watcher.poll(entries_read=0, recomputes=True)
    for _ in range(10):
        stream.read(2)
        stream.add(10)
        stream.trim(8)
        stream.read(3)
        stream.trim(12)
        watcher.poll(entries_read=stream.cursor.ms, recomputes=True)
    assert 0 < watcher.lost <= stream.lost


def test_at_first_sight_entries_read_tells_what_went_before_the_group_was_made() -> None:
    stream = SimulatedStream()
    stream.add(10)
    stream.trim(4)
    facts, positions = stream.facts(), Positions()
    positions.note(facts.last_generated_id, stream.added)
    for entries_read, lost in ((None, 0), (4, 0), (0, 4)):
        footing = footing_of(facts, stream.group(entries_read=entries_read), Lag(6, "exact"), positions, None)
        assert footing is not None
        assert lost_before(footing) == lost
