"""Status: whatever comes, nothing flaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.retention import SAFE, UNKNOWN, Headroom
from rlb.domain.status import CONFIRM_PART, GroupSample
from tests.domain.status_samples import RULES, judged, sample

headrooms = st.one_of(
    st.sampled_from([SAFE, UNKNOWN]),
    st.builds(Headroom, st.just("ends"), st.floats(0, 1000), st.sampled_from(["length", "age", "expiry"])),
)
steps = st.tuples(
    st.floats(0.1, 40),
    st.one_of(st.none(), st.integers(0, 300)),
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(0, 2)),
    headrooms,
    st.one_of(st.just(0), st.integers(0, 5)),
)


def samples_of(series: list[tuple[float, int | None, int, int | None, Headroom, int]]) -> list[GroupSample]:
    at_s, samples = 0.0, []
    for elapsed_s, lag, cursor, calling, headroom, lost in series:
        at_s += elapsed_s
        samples.append(sample(at_s, lag, cursor=cursor, calling=calling, headroom=headroom, lost=lost))
    return samples


class TestAnySeries:
    @given(st.lists(steps, max_size=60))
    def test_no_change_but_to_losing_comes_sooner_than_a_quarter_window_after_another(
        self, series: list[tuple[float, int | None, int, int | None, Headroom, int]]
    ) -> None:
        samples = samples_of(series)
        changed_s = None
        statuses = judged(samples)
        for n in range(1, len(statuses)):
            if statuses[n] != statuses[n - 1]:
                at_s = samples[n].at_s
                if statuses[n] != "losing" and changed_s is not None:
                    assert at_s - changed_s >= RULES.window_s * CONFIRM_PART
                changed_s = at_s

    @given(st.lists(steps, max_size=60))
    def test_never_losing_without_a_loss_or_little_headroom(
        self, series: list[tuple[float, int | None, int, int | None, Headroom, int]]
    ) -> None:
        harmless = [
            each._replace(lost=0, headroom=SAFE if (each.headroom.seconds or 0) < RULES.losing_s else each.headroom)
            for each in samples_of(series)
        ]
        assert "losing" not in judged(harmless)

    @given(st.lists(steps, max_size=60), st.integers(0, 59), st.integers(1, 9))
    def test_always_losing_where_something_was_lost(
        self, series: list[tuple[float, int | None, int, int | None, Headroom, int]], where: int, lost: int
    ) -> None:
        samples = samples_of(series)
        if where < len(samples):
            samples[where] = samples[where]._replace(lost=lost)
            assert judged(samples)[where] == "losing"

    @given(st.lists(st.tuples(st.floats(0.1, 29), st.integers(0, 100)), max_size=60))
    def test_a_group_that_reads_and_stays_below_the_floor_is_ok(self, series: list[tuple[float, int]]) -> None:
        at_s, samples = 0.0, []
        for n, (elapsed_s, lag) in enumerate(series):
            at_s += elapsed_s
            samples.append(sample(at_s, lag, cursor=n))
        assert set(judged(samples)) <= {"ok"}

    @given(st.lists(st.tuples(st.floats(0.1, 29), st.integers(1, 1000)), max_size=60), st.integers(0, 10**5))
    def test_a_group_that_reads_and_whose_lag_falls_is_ok(self, series: list[tuple[float, int]], rest: int) -> None:
        at_s, lag, samples = 0.0, rest + sum(less for _, less in series), []
        for n, (elapsed_s, less) in enumerate(series):
            at_s, lag = at_s + elapsed_s, lag - less
            samples.append(sample(at_s, lag, cursor=n))
        assert set(judged(samples)) <= {"ok"}
