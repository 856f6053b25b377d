"""Rows, sorted and filtered: pure, from snapshots made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.stream_info import StreamInfo
from rlb_top.columns import BY_ID, COLUMNS, columns_of, lag_text
from rlb_top.history import Trend
from rlb_top.rows import MODES, Mode, Row
from rlb_top.severity import SEVERITIES
from rlb_top.view import Sort, arranged, build_rows, parse_query, sort_of, status_counts, view_of
from tests.support.scripted_source import consumer, group, snapshot, stream

LLAMA, QWEN = "llama-3.1-8b", "qwen2.5:14b"

DIRE = stream("s-9", LLAMA, group("app", status="losing", lag=500, lag_seconds=20.0, lost_unread=7))
WORSE = stream("s-2", QWEN, group("app", status="losing", lag=100, lag_seconds=90.0, lost_unread=0))
BEHIND = stream("s-3", LLAMA, group("app", status="lagging", lag=1000, lag_seconds=50.0, lag_quality="bounded"))
UNKNOWN = stream("s-4", LLAMA, group("app", status="unknown", lag=None, lag_seconds=None, lag_quality="unknown"))
WELL = stream("s-1", QWEN, group("app"), group("web", status="ok", lag=3, lag_seconds=0.5))
ALONE = stream("s-5", QWEN)
ALL = snapshot(WELL, UNKNOWN, DIRE, ALONE, BEHIND, WORSE)


def sessions(rows: list[Row]) -> list[str | None]:
    return [row.session for row in rows]


def texts(row: Row) -> dict[str, str]:
    return {column.id: column.text(row) for column in COLUMNS}


def test_the_worst_come_first_and_among_equals_the_oldest_lag() -> None:
    rows = view_of(ALL, "groups")
    assert sessions(rows) == ["s-2", "s-9", "s-3", "s-4", "s-1", "s-1", "s-5"]
    assert [row.group for row in rows[4:]] == ["web", "app", None]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_what_is_unknown_comes_last_either_way(is_reversed: bool) -> None:
    rows = view_of(ALL, "groups", sort=Sort("lag", is_reversed=is_reversed))
    assert [row.lag for row in rows[-2:]] == [None, None]
    known = [row.lag for row in rows[:-2]]
    assert known == sorted((lag for lag in known if lag is not None), reverse=not is_reversed)


def test_a_column_that_is_pressed_again_turns_round() -> None:
    assert Sort("lag").by("lost") == Sort("lost")
    assert Sort("lost").by("lost").by("lost") == Sort("lost")
    assert Sort("lost").by("lost") == Sort("lost", is_reversed=True)
    assert Sort("session").is_descending is False
    assert Sort("lag").is_descending is True


def test_a_sorting_is_named_by_its_column() -> None:
    assert sort_of("lag", "groups") == Sort("lag")
    assert sort_of("-session", "groups") == Sort("session", is_reversed=True)
    with pytest.raises(ValueError, match="status, group, model"):
        sort_of("session", "models")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", {"s-1", "s-2", "s-3", "s-4", "s-5", "s-9"}),
        ("LLAMA", {"s-3", "s-4", "s-9"}),
        ("llama losing", {"s-9"}),
        ("status:lo", {"s-2", "s-9"}),
        ("model:qwen !losing", {"s-1", "s-5"}),
        ("group:web", {"s-1"}),
        ("!group:app", {"s-1", "s-5"}),
        ("session:s-3", {"s-3"}),
        ("qwen2.5:14b", {"s-1", "s-2", "s-5"}),
        ("status:", {"s-1", "s-2", "s-3", "s-4", "s-5", "s-9"}),
        ("stream:s-9", {"s-9"}),
        ("nothing-of-this", set()),
    ],
)
def test_all_words_have_to_match(words: str, found: set[str]) -> None:
    assert set(sessions(view_of(ALL, "groups", query=parse_query(words)))) == found


def test_a_stream_sums_its_groups_up_by_the_one_that_is_furthest_behind() -> None:
    both = stream(
        "s-1",
        LLAMA,
        group("a", lag=5, lag_seconds=1.0, read_rate=30.0, pending=2, oldest_pending_seconds=4.0),
        group("b", status="stopped", reason="why", lag=50, lag_seconds=9.0, read_rate=0.0, headroom_seconds=70.0),
        write_rate=31.0,
    )
    (row,) = build_rows(snapshot(both), "streams")
    assert (row.status, row.reason, row.lag, row.lag_s) == ("stopped", "why", 50, 9.0)
    assert (row.in_rate, row.out_rate, row.pending, row.oldest_s, row.headroom_s) == (31.0, 0.0, 2, 4.0, 70.0)
    assert (row.group, row.session, row.consumers) == (None, "s-1", 1)


def test_a_model_adds_its_streams_up_by_group() -> None:
    rows = view_of(ALL, "models")
    assert [(row.model, row.group, row.status, row.streams) for row in rows] == [
        (QWEN, "app", "losing", 2),
        (LLAMA, "app", "losing", 3),
        (QWEN, "web", "ok", 1),
        (QWEN, None, "unread", 1),
    ]
    llama = rows[1]
    assert (llama.lag, llama.lag_quality, llama.lag_s, llama.lost) == (1500, "bounded", 50.0, 7)
    assert lag_text(llama) == "≥1,500"
    assert llama.in_rate == pytest.approx(126.0)


def test_consumers_of_a_model_are_counted_by_name() -> None:
    one = stream("a", LLAMA, group("g", consumers=(consumer("x"), consumer("y"))))
    two = stream("b", LLAMA, group("g", consumers=(consumer("x"),)))
    (row,) = build_rows(snapshot(one, two), "models")
    assert row.consumers == 2


def test_what_is_not_known_is_a_question_mark_and_what_cannot_be_a_dash() -> None:
    unknown = texts(next(row for row in view_of(ALL, "groups") if row.session == "s-4"))
    assert unknown["lag"] == "?"
    assert unknown["lag_s"].strip() == "?"
    alone = texts(view_of(ALL, "groups")[-1])
    assert [alone[name] for name in ("status", "group", "lag", "lag_s", "out", "lost")] == ["○ unread", *"-----"]
    level = texts(next(row for row in view_of(ALL, "groups") if row.group == "app" and row.session == "s-1"))
    assert [level[name].strip() for name in ("lag", "lag_s", "headroom", "oldest")] == ["0", "-", "-", "-"]


def test_a_stream_of_another_template_goes_by_its_key() -> None:
    foreign = stream("x", "y", group("g"), session_id=None, model_id=None, key="orders\x1b[2J:eu")
    cells = texts(build_rows(snapshot(foreign), "groups")[0])
    assert cells["session"] == "orders\N{REPLACEMENT CHARACTER}[2J:eu"
    assert cells["model"] == "-"


@pytest.mark.parametrize(("trend", "arrow"), [("rising", "↑"), ("falling", "↓"), ("steady", "→"), (None, " ")])
@pytest.mark.parametrize("mode", MODES)
def test_the_trend_of_the_worst_group_stands_behind_the_lag(trend: Trend | None, arrow: str, mode: Mode) -> None:
    asked: list[str] = []

    def trends(key: str) -> Trend | None:
        asked.append(key)
        return trend

    (row,) = build_rows(snapshot(DIRE), mode, trends)
    assert BY_ID["lag_s"].text(row) == f"20.0s {arrow}"
    assert asked == [f"{DIRE.key}\x1fapp"]


@pytest.mark.parametrize("mode", MODES)
def test_rows_have_different_keys_that_stay(mode: Mode) -> None:
    keys = {row.key for row in build_rows(ALL, mode)}
    assert len(keys) == len(build_rows(ALL, mode))
    later = snapshot(WORSE, BEHIND, ALONE, DIRE, UNKNOWN, WELL)
    assert {row.key for row in build_rows(later, mode)} == keys


def test_statuses_are_counted() -> None:
    counts = status_counts(build_rows(ALL, "groups"))
    assert counts == {"ok": 2, "unknown": 1, "losing": 2, "unread": 1, "lagging": 1}


def test_no_two_statuses_look_alike() -> None:
    assert len({severity.symbol for severity in SEVERITIES}) == len(SEVERITIES)
    assert len({severity.letter for severity in SEVERITIES}) == len(SEVERITIES)
    assert [severity.rank for severity in SEVERITIES] == sorted(range(len(SEVERITIES)), reverse=True)


def test_columns_that_were_picked_keep_their_order() -> None:
    assert [column.id for column in columns_of("groups", ["lost", "reason", "status", "no-such"])] == [
        *("status", "lost", "reason"),
    ]
    assert [column.id for column in columns_of("models", ["session"])] == ["status"]
    assert "session" not in [column.id for column in columns_of("models")]


def numbers(most: float) -> st.SearchStrategy[Any]:
    return st.none() | st.integers(0, int(most)) | st.floats(0, most)


@st.composite
def streams(draw: st.DrawFn) -> StreamInfo:
    name = draw(st.text("ab", min_size=1, max_size=3))
    groups = [
        group(
            each,
            lag=draw(st.none() | st.integers(0, 9)),
            lag_seconds=draw(numbers(9)),
            read_rate=draw(numbers(9)),
            headroom_seconds=draw(numbers(9)),
            lost_unread=draw(st.none() | st.integers(0, 9)),
            status=draw(st.sampled_from([severity.status for severity in SEVERITIES[:-1]])),
            lag_quality=draw(st.sampled_from(["exact", "server", "bounded", "unknown"])),
        )
        for each in draw(st.lists(st.sampled_from("xyz"), unique=True, max_size=3))
    ]
    return stream(name, draw(st.sampled_from(["m", "n"])), *groups, write_rate=draw(numbers(9)))


@given(
    st.lists(streams(), max_size=6, unique_by=lambda each: each.key),
    st.sampled_from(MODES),
    st.sampled_from(COLUMNS),
    st.booleans(),
)
def test_any_sorting_is_in_order_and_forgets_nothing(
    found: list[StreamInfo], mode: Mode, column: Any, is_reversed: bool
) -> None:
    rows = build_rows(snapshot(*found), mode)
    sort = Sort(column.id, is_reversed=is_reversed)
    ordered = arranged(rows, sort)
    assert sorted(row.key for row in ordered) == sorted(row.key for row in rows)
    values = [column.sort_value(row) for row in ordered]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    assert known == sorted(known, reverse=sort.is_descending)
    # The order in which the source tells them makes no difference.
    assert [row.key for row in arranged(rows[::-1], sort)] == [row.key for row in ordered]
    for row in ordered:
        assert all(isinstance(each.text(row), str) for each in columns_of(mode))
