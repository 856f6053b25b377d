"""Text becomes tokens without losing a character, however it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.cli.token_cutter import LONGEST, TokenCutter, cut


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("Hello, world!", ["Hello", ",", " world", "!"]),
        ("a  b\n\nc", ["a", "  b", "\n\n", "c"]),
        ("x = 1.5", ["x", " =", " 1", ".", "5"]),
        ("日本語 text", ["日", "本", "語", " text"]),
        ("naïve café", ["naïve", " café"]),
        ("a" * (LONGEST + 1), ["a" * LONGEST, "a"]),
        ("trailing ", ["trailing", " "]),
        ("👍👍👍👍👍", ["👍👍👍👍", "👍"]),
    ],
    ids=["empty", "words", "spaces", "code", "ideographs", "accents", "long", "trailing", "symbols"],
)
def test_tokens_are_like_words(text: str, tokens: list[str]) -> None:
    """A word takes the space before it along; marks stand alone; nothing is longer than a token may be."""
    assert cut(text) == tokens


@given(st.text())
def test_tokens_together_are_the_text(text: str) -> None:
    """No character is lost, added or moved, and no token is empty or too long."""
    tokens = cut(text)
    assert "".join(tokens) == text
    assert all(0 < len(token) <= LONGEST + 4 for token in tokens)


@given(st.text(), st.data())
def test_pieces_make_the_tokens_of_the_whole(text: str, data: st.DataObject) -> None:
    """Where a pipe cuts the bytes makes no difference, not even inside of a character."""
    whole, tokens = text.encode(errors="ignore"), []
    cutter, rest = TokenCutter(), whole
    while rest:
        size = data.draw(st.integers(min_value=1, max_value=len(rest)))
        tokens += cutter.feed(rest[:size])
        rest = rest[size:]
    assert [*tokens, *cutter.finish()] == cut(whole.decode())


@given(st.lists(st.one_of(st.binary(max_size=20), st.none())))
def test_a_pause_loses_nothing(events: list[bytes | None]) -> None:
    """Held-back text comes out at a pause (None), once; bytes that are no UTF-8 become replacement characters."""
    cutter, tokens = TokenCutter(), []
    for event in events:
        tokens += cutter.pause() if event is None else cutter.feed(event)
    tokens += cutter.finish()
    assert "".join(tokens) == b"".join(event for event in events if event).decode(errors="replace")


def test_half_a_word_waits_for_the_rest_unless_there_is_a_pause() -> None:
    """A word is not cut by chance, and its reader does not wait for ever."""
    cutter = TokenCutter()
    assert cutter.feed(b"Hel") == []
    assert cutter.feed(b"lo wor") == ["Hello"]
    assert cutter.pause() == [" wor"]
    assert cutter.pause() == []
    assert cutter.feed(b"ld!") == ["ld"]
    assert cutter.finish() == ["!"]
