"""Numbers, durations and foreign text as people see them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.cli import text


@pytest.mark.parametrize(("number", "shown"), [(None, "?"), (0, "0"), (999, "999"), (1234567, "1,234,567")])
def test_a_count_has_separators_and_an_unknown_one_is_no_zero(number: int | None, shown: str) -> None:
    """Thousands are separated; unknown is a question mark."""
    assert text.count(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "?"),
        (-1.0, "0 ms"),
        (0.0, "0 ms"),
        (0.0123, "12 ms"),
        (3.21, "3.2 s"),
        (59.94, "59.9 s"),
        (60, "1 m 0 s"),
        (250, "4 m 10 s"),
        (3600, "1 h 0 m"),
        (9_000, "2 h 30 m"),
        (86_400 * 2 + 3 * 3600, "2 d 3 h"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds: float | None, shown: str) -> None:
    """From milliseconds to days."""
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(-1, "0:00"), (7.9, "0:07"), (754, "12:34"), (3725, "1:02:05")])
def test_a_clock_counts_up(seconds: float, shown: str) -> None:
    """Minutes and seconds, hours only when there are any."""
    assert text.clock(seconds) == shown


@pytest.mark.parametrize(
    ("number", "noun", "shown"),
    [(0, "token", "0 tokens"), (1, "entry", "1 entry"), (2, "entry", "2 entries"), (1500, "token", "1,500 tokens")],
)
def test_a_noun_agrees_with_its_number(number: int, noun: str, shown: str) -> None:
    """One is singular, everything else plural."""
    assert text.plural(number, noun) == shown


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [("500ms", 500), ("90s", 90_000), ("10m", 600_000), ("1.5h", 5_400_000), ("7d", 604_800_000), (" 1s ", 1000)],
)
def test_a_duration_is_read(written: str, milliseconds: int) -> None:
    """A number and its unit."""
    assert text.parse_duration_ms(written) == milliseconds


@pytest.mark.parametrize("written", ["", "10", "s", "-1s", "1 s", "1w", "1e3s", "9" * 20 + "s", "٣s"])
def test_what_is_no_duration_is_refused_with_an_example(written: str) -> None:
    """The text completes "expected ..."."""
    with pytest.raises(ValueError, match="a number with its unit"):
        text.parse_duration_ms(written)


@given(st.text())
def test_printable_text_holds_nothing_that_a_terminal_obeys(foreign: str) -> None:
    """No control character is left but tabs and line ends, and what can be read stays."""
    shown = text.printable(foreign)
    assert all(character.isprintable() or character in "\n\t" or ord(character) >= 0xA0 for character in shown)
    assert not set("\x1b\x07\x08\r\x9b\u202e") & set(shown)
    assert [c for c in shown if c.isalnum()] == [c for c in foreign if c.isalnum()]


def test_printable_text_keeps_what_is_written() -> None:
    """Escape sequences lose their escape; line ends, tabs and other scripts stay."""
    assert text.printable("a\x1b[31mb\r\n\tnaïve 日本語 👍") == "a\N{REPLACEMENT CHARACTER}[31mb\n\tnaïve 日本語 👍"


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_the_end_of_a_text_fits_on_one_line(whole: str, width: int) -> None:
    """Never wider than asked for, never with a line end, and it is the end."""
    shown = text.tail_end(whole, width)
    assert len(shown) <= width
    assert "\n" not in shown
    assert " ".join(text.printable(whole).split()).endswith(shown.removeprefix("…"))
