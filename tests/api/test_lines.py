"""Framing: the pieces in which bytes come make no difference, and no line costs more memory than its limit."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.api.lines import EventSplitter, LineSplitter, TooLong
from tests.support.fuzz import examples

LIMIT = 12

some_lines = st.sampled_from([b"", b" ", b"\r", b"\t\r", b"{}", b"data: x", b" " * 13, b"long" * 4]) | st.lists(
    st.sampled_from([b"data:", b":", b" ", b"\r", b"\x00", b"\xff", b"\xe2\x80\xa8"]) | st.binary(max_size=20)
).map(b"".join)
bodies = st.lists(some_lines, max_size=12).map(b"\n".join)


@st.composite
def pieces_of(draw: st.DrawFn, body: bytes) -> list[bytes]:
    """`body` cut at any places, some of them twice."""
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=12)))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def fed(splitter: LineSplitter | EventSplitter, pieces: list[bytes]) -> list[bytes | TooLong]:
    found = [line for piece in pieces for line in splitter.feed(piece)]
    return found + splitter.finish()


def expected_lines(body: bytes, limit: int) -> list[bytes | TooLong]:
    """What the splitter is for, in the plainest words."""
    return [
        line if len(line) <= limit else TooLong(len(line))
        for line in body.split(b"\n")
        if line.strip() or len(line) > limit
    ]


@examples(300)
@given(body=bodies, data=st.data())
def test_pieces_make_no_difference(body: bytes, data: st.DataObject) -> None:
    """However a body is cut, its lines are those of the whole; blank ones are left out, long ones are told of."""
    assert fed(LineSplitter(LIMIT), data.draw(pieces_of(body))) == expected_lines(body, LIMIT)


@examples(300)
@given(body=bodies, data=st.data())
def test_pieces_of_events_make_no_difference(body: bytes, data: st.DataObject) -> None:
    """The same for event streams: the data of every `data:` line, in order, and nothing of the other lines."""
    expected = [
        line if isinstance(line, TooLong) else line[5:].strip()
        for line in expected_lines(body, LIMIT)
        if isinstance(line, TooLong) or line.startswith(b"data:")
    ]
    assert fed(EventSplitter(LIMIT), data.draw(pieces_of(body))) == expected


@examples(300)
@given(body=bodies, data=st.data())
def test_knows_whether_a_line_is_half_way(body: bytes, data: st.DataObject) -> None:
    """A splitter is between lines just when what it was fed ends with a line's end, or is nothing."""
    splitter = LineSplitter(LIMIT)
    taken = b""
    for piece in data.draw(pieces_of(body)):
        splitter.feed(piece)
        taken += piece
        assert splitter.is_between_lines == (not taken or taken.endswith(b"\n"))


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_limit_is_the_largest_line_that_passes(size: int, end: bytes) -> None:
    """A line of just the limit passes, one byte more does not, and the line behind it is whole again."""
    line = b"x" * size
    wanted = [line if size <= LIMIT else TooLong(size)]
    assert fed(LineSplitter(LIMIT), [line + end]) == wanted
    assert fed(LineSplitter(LIMIT), [bytes([byte]) for byte in line + b"\nnext"]) == [*wanted, b"next"]


@pytest.mark.parametrize("piece", [b"x", b"xy", b"x" * 4096])
def test_an_endless_line_costs_no_more_than_its_limit(piece: bytes) -> None:
    """A line without end, in pieces of any size, holds a small multiple of the limit and in the end nothing."""
    limit = 64 * 1024
    splitter = LineSplitter(limit)
    tracemalloc.start()
    try:
        for _ in range(2 * limit // len(piece)):
            splitter.feed(bytes(bytearray(piece)))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * limit
    assert held < limit / 8
    assert splitter.feed(b"\nnext\n") == [TooLong(2 * limit), b"next"]
