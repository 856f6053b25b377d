"""Numbers, times and foreign text in few columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb_top import format as fmt


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "?"), (0, "0"), (999_999, "999,999"), (1_000_000, "1.00M"), (12_345_678, "12.3M"), (10**15, "1.00P")],
)
def test_counts(number: int | None, text: str) -> None:
    assert fmt.count(number) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        *((None, "?"), (0.0, "0"), (0.001, "<0.1"), (0.3, "0.3"), (9.94, "9.9"), (9.96, "10"), (1234.4, "1,234")),
        *((9999.9, "10,000"), (12_340.0, "12.3k"), (5_600_000.0, "5.60M")),
    ],
)
def test_rates(per_second: float | None, text: str) -> None:
    assert fmt.rate(per_second) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((None, "?"), (0, "0s"), (-3, "0s"), (0.0001, "1ms"), (0.85, "850ms"), (0.9999, "1.0s"), (59.94, "59.9s")),
        *((59.96, "1m00s"), (250, "4m10s"), (3599.6, "1h00m"), (7500, "2h05m"), (86_400, "1d00h"), (183_600, "2d03h")),
        *((100 * 86_400, "100d"), (1000 * 86_400, "1,000d")),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert fmt.duration(seconds) == text


@given(st.floats(min_value=0, max_value=99.9 * 86_400))
def test_a_duration_below_a_hundred_days_fits_into_six_columns(seconds: float) -> None:
    assert len(fmt.duration(seconds)) <= 6


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_a_rate_fits_into_six_columns_and_is_not_0_if_anything_comes(per_second: float) -> None:
    assert len(fmt.rate(per_second)) <= 6
    assert fmt.rate(per_second) != "0"


@given(st.integers(min_value=0, max_value=10**15))
def test_sizes_and_counts_are_short(number: int) -> None:
    assert len(fmt.size(number)) <= 6
    assert len(fmt.count(number)) <= 7


@given(st.text(), st.integers(min_value=0, max_value=30))
def test_a_shortened_name_keeps_both_ends(text: str, width: int) -> None:
    short = fmt.shortened(text, width)
    assert len(short) == min(len(text), width)
    if len(text) > width >= 3:
        assert short[0] == text[0]
        assert short[-1] == text[-1]


@given(st.text(alphabet=st.characters(), max_size=50))
def test_a_cell_is_one_line_without_controls(text: str) -> None:
    line = fmt.line(text)
    assert "\n" not in line
    assert "\x1b" not in line


def test_what_a_terminal_would_obey_is_replaced() -> None:
    assert fmt.printable("a\x1b[2Jb\r\nc\u202ed") == "a\N{REPLACEMENT CHARACTER}[2Jb\nc\N{REPLACEMENT CHARACTER}d"
