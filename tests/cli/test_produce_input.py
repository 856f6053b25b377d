"""What `rlb produce` makes of its input: the format, and the steps of NDJSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.cli.produce_input import DECISION_BYTES, End, Format, InputError, LineSteps, Step, TextSteps, Token, detect

CHUNK = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'

WHOLE = {
    "nothing": (b"", Format.TEXT),
    "blank": (b" \n\n", Format.TEXT),
    "prose": (b"Hello, world\n", Format.TEXT),
    "prose-with-a-colon": (b"event: the fair\nIt was held\n", Format.TEXT),
    "prose-about-data": (b"data: the new oil\n", Format.TEXT),
    "database": (b"database", Format.TEXT),
    "one-word": (b"da", Format.TEXT),
    "token": (b'{"token":"Hi"}\n', Format.NDJSON),
    "token-without-an-end": (b'{"token":"Hi"}', Format.NDJSON),
    "token-behind-blanks": (b'\n\n {"token":"Hi"}\r\n', Format.NDJSON),
    "completion": (b'{"complete":"stop"}\n', Format.NDJSON),
    "other-json": (b'{"name":"value"}\n', Format.TEXT),
    "broken-json": (b'{"token":\n', Format.TEXT),
    "json-list": (b"[1,2]\n", Format.TEXT),
    "events": (CHUNK, Format.OPENAI),
    "events-without-a-space": (b'data:{"choices":[]}\n\n', Format.OPENAI),
    "done": (b"data: [DONE]\n\n", Format.OPENAI),
    "comment-first": (b": PROCESSING\n\n" + CHUNK, Format.OPENAI),
    "name-first": (b"event: message\nid: 1\n" + CHUNK, Format.OPENAI),
    "carriage-returns": (CHUNK.replace(b"\n", b"\r\n"), Format.OPENAI),
    "only-comments": (b": ping\n\n: ping\n\n", Format.TEXT),
    "endless-line": (b"{" + b" " * DECISION_BYTES, Format.TEXT),
    "endless-comments": (b":\n" * DECISION_BYTES, Format.TEXT),
}


@pytest.mark.parametrize(("head", "form"), WHOLE.values(), ids=WHOLE)
def test_the_format_is_told_from_the_beginning(head: bytes, form: Format) -> None:
    """NDJSON and event streams are recognised beyond doubt only; everything else is text."""
    assert detect(head, is_all=True) is form


@pytest.mark.parametrize(("head", "form"), WHOLE.values(), ids=WHOLE)
def test_a_beginning_that_is_decided_stays_so(head: bytes, form: Format) -> None:
    """With less of the input the answer is either the same or that it cannot be told yet."""
    for size in {*range(min(len(head), 200)), len(head)}:
        assert detect(head[:size], is_all=False) in (None, form)


@pytest.mark.parametrize(
    ("head", "form"),
    [(b"Hel", Format.TEXT), (b"data: {", Format.OPENAI), (b"data: the", Format.TEXT), (b"[", Format.TEXT)],
)
def test_no_more_is_waited_for_than_needed(head: bytes, form: Format) -> None:
    """Text flows at once: its first word is enough."""
    assert detect(head, is_all=False) is form


def steps_of(*lines: str) -> list[Step]:
    steps = LineSteps("s-1", "m:1")
    return [*steps.feed("\n".join(lines).encode()), *steps.finish()]


def test_lines_become_steps() -> None:
    """Tokens and ends in order; an object with both is both; blank lines and empty tokens are nothing."""
    lines = ['{"token":"a"}', "", '{"token":"b","complete":"length"}', '{"token":""}', '{"complete":"stop"}']
    assert steps_of(*lines) == [Token("a"), Token("b"), End("length"), End("stop")]


def test_a_line_of_the_api_is_taken_if_it_is_for_this_stream() -> None:
    """Session and model may be named, as in the lines of `POST /v1/tokens`."""
    assert steps_of('{"sessionId":"s-1","modelId":"m:1","token":"a"}') == [Token("a")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nope", "line 2: not JSON"),
        ("[]", "line 2: expected an object"),
        ("{}", "line 2: expected token, complete or both"),
        ('{"token":1}', "line 2: expected text"),
        ('{"tokens":"a"}', "line 2: unknown member 'tokens'"),
        ('{"token":"a","sessionId":"s-2"}', "line 2: sessionId is not that of the command line"),
    ],
)
def test_a_bad_line_is_named_without_its_content(line: str, why: str) -> None:
    """Number and reason, so that it can be found."""
    with pytest.raises(InputError, match=why):
        steps_of('{"token":"a"}', line)


@given(st.lists(st.text(min_size=1)), st.data())
def test_lines_may_come_in_any_pieces(tokens: list[str], data: st.DataObject) -> None:
    """Where a pipe cuts the lines makes no difference."""
    rest = "".join(json.dumps({"token": token}) + "\n" for token in tokens).encode()
    steps, found = LineSteps("s", "m"), list[Step]()
    while rest:
        size = data.draw(st.integers(min_value=1, max_value=len(rest)))
        found += [*steps.feed(rest[:size]), *steps.pause()]
        rest = rest[size:]
    assert [*found, *steps.finish()] == [Token(token) for token in tokens]


@given(st.text())
def test_text_becomes_tokens_only(text: str) -> None:
    """Plain text never ends a generation by itself."""
    steps = TextSteps()
    found = [*steps.feed(text.encode(errors="ignore")), *steps.finish()]
    assert "".join(step.text for step in found if isinstance(step, Token)) == text.encode(errors="ignore").decode()
    assert all(isinstance(step, Token) for step in found)


def test_what_comes_before_a_bad_line_is_taken() -> None:
    """The steps of a piece come one by one, so that a bad line takes nothing away."""
    feeding = LineSteps("s", "m").feed(b'{"token":"a"}\nnope\n')
    assert next(feeding) == Token("a")
    with pytest.raises(InputError, match="line 2"):
        next(feeding)
