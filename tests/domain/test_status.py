"""Status: what a window of polls comes to."""

from __future__ import annotations

import pytest

from rlb.domain.retention import SAFE, UNKNOWN, Headroom
from rlb.domain.status import StatusTracker
from rlb.domain.stream_info import GroupStatus
from tests.domain.status_samples import POLL_S, RULES, changes, judged, polls, sample


class TestOk:
    def test_a_group_that_has_read_everything(self) -> None:
        assert set(judged(sample(at_s) for at_s in polls(50))) == {"ok"}

    def test_a_little_lag_while_it_reads(self) -> None:
        assert set(judged(sample(at_s, 90, cursor=int(at_s)) for at_s in polls(50))) == {"ok"}

    def test_a_lag_that_falls(self) -> None:
        falling = [sample(at_s, 100_000 - 10 * n, cursor=n) for n, at_s in enumerate(polls(100))]
        assert set(judged(falling)) == {"ok"}

    def test_a_new_generation_that_is_read_within_a_second(self) -> None:
        # The first entries come, the group starts late, tokens wait at every poll, and then there are no more.
        lags = [5, 400, 12, 0, 700, 3, 250, 0, 0, 0]
        samples = [
            sample(at_s, lag, cursor=n + 1, lag_s=0.9, headroom=Headroom("ends", 70 - lag / 10, "length"))
            for n, (at_s, lag) in enumerate(zip(polls(10), lags, strict=True))
        ]
        assert set(judged(samples[:3])) == {"ok"}
        assert set(judged([each._replace(headroom=SAFE) for each in samples])) == {"ok"}

    def test_a_quiet_stream_where_something_has_just_come(self) -> None:
        quiet = [sample(at_s) for at_s in polls(1000)]
        assert set(judged([*quiet, sample(6001.0, 1, lag_s=0.1)])) == {"ok"}


class TestStoppedAndStalled:
    @pytest.mark.parametrize(("calling", "status"), [(0, "stopped"), (1, "stalled"), (None, "stalled")])
    def test_one_entry_that_nobody_reads(self, calling: int | None, status: GroupStatus) -> None:
        statuses = judged(sample(at_s, 1, calling=calling, lag_s=at_s - 1000) for at_s in polls(20))
        assert statuses[-1] == status
        # Half a minute to be sure, a quarter of the window to be surer.
        assert statuses[: 45 // 5] == ["ok"] * 9

    def test_the_reason_has_the_numbers(self) -> None:
        tracker = StatusTracker(RULES)
        for at_s in polls(20):
            _, reason = tracker.judge(sample(at_s, 7, calling=0))
        assert reason == "7 entries undelivered and nothing read for 95 s, none of 1 consumers has called"

    def test_a_group_that_reads_now_and_then_does_not_stall(self) -> None:
        samples = [sample(at_s, 50, cursor=n // 7, calling=0) for n, at_s in enumerate(polls(200))]
        assert set(judged(samples)) == {"ok"}

    def test_it_is_over_when_the_group_reads_again(self) -> None:
        stopped = [sample(at_s, 50, calling=0) for at_s in polls(20)]
        again = [sample(at_s, 50, cursor=n + 2) for n, at_s in enumerate(polls(40)[20:])]
        statuses = judged([*stopped, *again])
        assert statuses[19] == "stopped"
        assert statuses[-1] == "ok"

    def test_long_waiting_entries_at_first_sight_are_no_verdict_yet(self) -> None:
        statuses = judged(sample(at_s, 50, calling=0, lag_s=5000.0) for at_s in polls(20))
        assert statuses[0] == "unknown"
        assert "ok" not in statuses
        assert statuses[-1] == "stopped"

    def test_polls_half_a_minute_apart_know_it_after_two_more(self) -> None:
        statuses = judged(sample(1000.0 + 30 * n, 1, calling=0) for n in range(4))
        assert statuses == ["ok", "ok", "stopped", "stopped"]


class TestLagging:
    def test_a_lag_that_grows(self) -> None:
        statuses = judged(sample(at_s, 200 + n, cursor=n) for n, at_s in enumerate(polls(20)))
        assert statuses[:9] == ["ok"] * 9
        assert statuses[-1] == "lagging"

    def test_a_plateau_with_noise_stays_lagging(self) -> None:
        noise = [5000 + 37 * (n * 7919 % 13) for n in range(300)]
        statuses = judged(
            sample(at_s, lag, cursor=n) for n, (at_s, lag) in enumerate(zip(polls(300), noise, strict=True))
        )
        assert changes(statuses) == ["ok", "lagging"]

    @pytest.mark.parametrize("period", [2, 3, 4, 6, 12])
    def test_a_lag_around_the_floor_does_not_flap(self, period: int) -> None:
        samples = [sample(at_s, 90 if n % period < period // 2 else 130, cursor=n) for n, at_s in enumerate(polls(500))]
        assert set(judged(samples)) == {"ok"}

    @pytest.mark.parametrize("period", [20, 60, 120])
    def test_a_lag_slowly_around_the_floor_is_said_once(self, period: int) -> None:
        samples = [
            sample(at_s, 95 if n % period < period // 2 else 105, cursor=n) for n, at_s in enumerate(polls(1000))
        ]
        assert changes(judged(samples)) == ["ok", "lagging"]

    def test_it_ends_well_below_the_floor(self) -> None:
        lags = [200] * 20 + [90] * 20 + [70] * 20
        statuses = judged(
            sample(at_s, lag, cursor=n) for n, (at_s, lag) in enumerate(zip(polls(60), lags, strict=True))
        )
        assert changes(statuses) == ["ok", "lagging", "ok"]

    def test_it_ends_when_the_lag_clearly_falls(self) -> None:
        lags = [100_000] * 20 + [100_000 - 3000 * n for n in range(20)]
        statuses = judged(
            sample(at_s, lag, cursor=n) for n, (at_s, lag) in enumerate(zip(polls(40), lags, strict=True))
        )
        assert changes(statuses) == ["ok", "lagging", "ok"]

    def test_the_rates_tell_where_only_a_bound_is_known(self) -> None:
        drains = [sample(at_s, 1000, cursor=n, bounded=True, rates=(5, 9)) for n, at_s in enumerate(polls(30))]
        grows = [sample(at_s, 1000, cursor=n, bounded=True, rates=(9, 5)) for n, at_s in enumerate(polls(30))]
        assert set(judged(drains)) == {"ok"}
        assert judged(grows)[-1] == "lagging"


class TestLosing:
    def test_a_loss_is_said_at_once_and_for_a_window(self) -> None:
        statuses = judged(sample(at_s, 0, lost=3 if n == 4 else 0) for n, at_s in enumerate(polls(40)))
        assert statuses[:5] == ["ok"] * 4 + ["losing"]
        assert statuses[4:17] == ["losing"] * 13
        assert statuses[-1] == "ok"

    def test_the_reason_adds_up_the_losses(self) -> None:
        tracker = StatusTracker(RULES)
        tracker.judge(sample(0.0, lost=3))
        assert tracker.judge(sample(5.0, lost=4)) == ("losing", "7 entries were removed unread in the last 60 s")

    def test_a_loss_counts_though_the_lag_is_unknown(self) -> None:
        assert judged([sample(0.0, None, lost=1)]) == ["losing"]

    def test_little_headroom_is_said_once_the_rates_are_of_some_time(self) -> None:
        near = Headroom("ends", 59.0, "length")
        statuses = judged(sample(at_s, 50, cursor=n, headroom=near) for n, at_s in enumerate(polls(10)))
        assert changes(statuses) == ["ok", "losing"]
        assert statuses[3] == "losing"

    @pytest.mark.parametrize("headroom", [SAFE, UNKNOWN, Headroom("ends", 60.0, "age")])
    def test_enough_headroom_is_none_of_it(self, headroom: Headroom) -> None:
        samples = [sample(at_s, 50, cursor=n, headroom=headroom) for n, at_s in enumerate(polls(20))]
        assert set(judged(samples)) == {"ok"}

    def test_nothing_undelivered_is_nothing_to_lose(self) -> None:
        near = Headroom("ends", 1.0, "expiry")
        assert set(judged(sample(at_s, 0, headroom=near) for at_s in polls(20))) == {"ok"}


class TestRewound:
    def test_until_the_cursor_is_where_it_was(self) -> None:
        cursors = [100] * 5 + [50] * 5 + list(range(50, 120, 2))
        samples = [
            sample(at_s, 200 - cursor, cursor=cursor) for at_s, cursor in zip(polls(len(cursors)), cursors, strict=True)
        ]
        statuses = judged(samples)
        assert changes(statuses) == ["ok", "rewound", "ok"]
        assert cursors[statuses.index("rewound")] < 100
        assert cursors[len(statuses) - 1 - statuses[::-1].index("rewound")] >= 100

    def test_for_a_window_at_least(self) -> None:
        cursors = [100] * 5 + [50] + [200] * 30
        statuses = judged(
            sample(at_s, 5, cursor=c + n // 4) for n, (at_s, c) in enumerate(zip(polls(36), cursors, strict=True))
        )
        assert changes(statuses) == ["ok", "rewound", "ok"]
        assert statuses.count("rewound") * POLL_S >= 60 - 15

    def test_a_group_whose_stream_went_back_with_it_has_recovered(self) -> None:
        cursors = [100] * 5 + [50] * 40
        statuses = judged(sample(at_s, 0, cursor=c) for at_s, c in zip(polls(45), cursors, strict=True))
        assert statuses[-1] == "ok"


class TestUnknown:
    def test_one_poll_without_a_lag_changes_nothing(self) -> None:
        lags = [0, 0, None, 0, 0, None, None, 0]
        assert set(judged(sample(at_s, lag) for at_s, lag in zip(polls(8), lags, strict=True))) == {"ok"}

    def test_a_lag_that_stays_unknown(self) -> None:
        statuses = judged(sample(at_s, None) for at_s in polls(5))
        assert set(statuses) == {"unknown"}
        assert changes(judged(sample(at_s, 0 if n < 5 else None) for n, at_s in enumerate(polls(15)))) == [
            "ok",
            "unknown",
        ]

    def test_a_clock_that_goes_back_begins_anew(self) -> None:
        tracker = StatusTracker(RULES)
        for at_s in polls(20):
            tracker.judge(sample(at_s, 50, calling=0))
        assert tracker.status == "stopped"
        assert tracker.judge(sample(3.0, 50, calling=0))[0] == "ok"
