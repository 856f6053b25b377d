"""Lines come out whole, however the bytes came in."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rlb.client.line_splitter import LineSplitter

LINES = st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=10)


@given(lines=LINES, cuts=st.lists(st.integers(0, 300), max_size=10))
def test_any_cutting_gives_the_same_lines(lines: list[bytes], cuts: list[int]) -> None:
    """Pieces of any size, empty ones too, give every line that is not empty once and in order."""
    whole = b"".join(line + b"\n" for line in lines)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    splitter = LineSplitter()
    found: list[bytes] = []
    for start, end in pairwise(places):
        found += splitter.feed(whole[start:end])
    assert found == [line for line in lines if line]


def test_a_line_waits_for_its_end() -> None:
    """Half a line is not given out."""
    splitter = LineSplitter()
    assert splitter.feed(b'{"a":') == []
    assert splitter.feed(b"1}") == []
    assert splitter.feed(b"\n") == [b'{"a":1}']
