"""OpenAI's streaming format, as servers really send it, to messages: text, roles, one end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.api.lines import EventSplitter, TooLong
from rlb.api.openai_events import DONE, OpenAiEvents
from rlb.domain.draft import TokenRequest
from rlb.errors import ApiError, InvalidJsonError, InvalidMessageError
from tests.support.fuzz import examples
from tests.support.openai_chunks import ROLE, USAGE, chat, chunk, text


def messages(*stream: bytes, cut_off: bool = False) -> list[TokenRequest]:
    """All messages of a generation, with the end that the end of the request adds."""
    events = OpenAiEvents("s", "m")
    found = [events.message(event) for event in stream]
    if cut_off:
        found.append(events.end("error"))
    return [message for message in found if message is not None]


def told(found: list[TokenRequest]) -> list[tuple[str, str | None]]:
    return [(message.token, message.complete) for message in found]


@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        pytest.param(
            [ROLE, chat("Hel"), chat("lo"), chat("", finish="stop"), DONE],
            [("Hel", None), ("lo", None), ("", "stop")],
            id="vllm-chat",
        ),
        pytest.param(
            [ROLE, chat("Hi"), chat(finish="length"), USAGE, DONE], [("Hi", None), ("", "length")], id="usage-chunk"
        ),
        pytest.param([chat("Hi", finish="stop"), DONE], [("Hi", "stop")], id="text-with-the-end"),
        pytest.param(
            [text(" one"), text(" two", "length"), DONE], [(" one", None), (" two", "length")], id="completion"
        ),
        pytest.param([chat("Hi"), DONE], [("Hi", None), ("", "stop")], id="done-without-finish"),
        pytest.param([chat("Hi", finish="content_filter")], [("Hi", "content_filter")], id="no-done"),
        pytest.param(
            [chat("Hi"), json.dumps({"error": {"message": "boom", "code": 500}}).encode(), DONE],
            [("Hi", None), ("", "error")],
            id="error-object",
        ),
        pytest.param(
            [chat("Hi", finish="stop"), chat(""), chat(), USAGE, DONE, DONE], [("Hi", "stop")], id="ends-once"
        ),
        pytest.param(
            [chat(tool_calls=[{"index": 0}]), chat(finish="tool_calls")], [("", "tool_calls")], id="tool-calls"
        ),
        pytest.param([chat("\n"), chat(" "), DONE], [("\n", None), (" ", None), ("", "stop")], id="white-text-counts"),
        pytest.param([DONE], [("", "stop")], id="nothing-but-done"),
        pytest.param([USAGE], [], id="nothing-but-usage"),
        pytest.param([chat("a", finish=""), chat("b", finish="stop")], [("a", None), ("b", "stop")], id="empty-reason"),
    ],
)
def test_streams_of_servers(stream: list[bytes], wanted: list[tuple[str, str | None]]) -> None:
    """Text and ends come out as the server meant them, and a generation ends once."""
    assert told(messages(*stream)) == wanted


def test_a_server_that_dies_is_told_of() -> None:
    """A stream that is cut off in mid-answer ends as an error; one that was complete has ended already."""
    assert told(messages(ROLE, chat("Hi"), cut_off=True)) == [("Hi", None), ("", "error")]
    assert told(messages(cut_off=True)) == [("", "error")]
    assert told(messages(chat("Hi", finish="stop"), cut_off=True)) == [("Hi", "stop")]
    assert told(messages(chat("Hi"), DONE, cut_off=True)) == [("Hi", None), ("", "stop")]


def test_messages_carry_stream_role_and_model() -> None:
    """Session and model are the request's; the server's own name for the model goes into the metadata."""
    (message,) = messages(chat("Hi"))
    assert (message.session_id, message.model_id, message.role) == ("s", "m", "assistant")
    assert message.metadata is not None
    assert message.metadata.model == "llama"


@pytest.mark.parametrize(("role", "wanted"), [("user", "user"), ("system", "system"), ("tool", "assistant")])
def test_roles(role: str, wanted: str) -> None:
    """The role of the first chunk holds for the rest; one that the guide does not know is the assistant's."""
    assert [message.role for message in messages(chat("", role=role), chat("a"), chat("b"))] == [wanted, wanted]


@pytest.mark.parametrize(
    "event",
    [chat("b", index=1), chunk("chat.completion.chunk", [{"index": 0, "text": "a"}, {"index": 1, "text": "b"}])],
)
def test_more_than_one_choice_is_refused(event: bytes) -> None:
    """Two answers in one stream (n=2) have no place in one generation; the first goes on."""
    events = OpenAiEvents("s", "m")
    with pytest.raises(InvalidMessageError, match="n=1"):
        events.message(event)
    assert events.message(chat("a")) is not None


def test_text_behind_the_end_is_refused() -> None:
    """A generation that has ended takes no more text."""
    events = OpenAiEvents("s", "m")
    events.message(chat("a", finish="stop"))
    with pytest.raises(InvalidMessageError, match="ended"):
        events.message(chat("b"))
    assert events.is_complete


@pytest.mark.parametrize(
    ("event", "kind"), [(b"{", InvalidJsonError), (b"7", InvalidMessageError), (b"", InvalidJsonError)]
)
def test_what_is_no_chunk_is_refused(event: bytes, kind: type[ApiError]) -> None:
    """Bytes that are no chunk are told of, and the stream goes on."""
    events = OpenAiEvents("s", "m")
    with pytest.raises(kind):
        events.message(event)
    assert told([message for message in [events.message(chat("a"))] if message]) == [("a", None)]


@pytest.mark.parametrize("reason", ["a reason in words", "x" * 65])
def test_an_unfit_finish_reason_does_not_hide_the_end(reason: str) -> None:
    """A finish reason that cannot be kept is refused, and the generation is still open to be ended."""
    events = OpenAiEvents("s", "m")
    with pytest.raises(InvalidMessageError):
        events.message(chat("a", finish=reason))
    assert not events.is_complete
    end = events.end("error")
    assert end is not None
    assert end.complete == "error"


@examples(200)
@given(
    pieces=st.lists(st.text(min_size=1), max_size=8), finish=st.sampled_from(["stop", "length", None]), data=st.data()
)
def test_text_survives_framing(pieces: list[str], finish: str | None, data: st.DataObject) -> None:
    """Whatever the text and however the stream is cut into packets, the tokens are those that the server sent."""
    stream = [ROLE, *map(chat, pieces)]
    if finish is not None:
        stream.append(chat(finish=finish))
    body = b"".join(b": ping\n\ndata: %b\r\n\r\n" % event for event in [*stream, DONE])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=10)))
    splitter = EventSplitter(1 << 20)
    found: list[bytes | TooLong] = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        found += splitter.feed(body[start:end])
    found += splitter.finish()
    assert not any(isinstance(event, TooLong) for event in found)
    tokens = told(messages(*[event for event in found if not isinstance(event, TooLong)]))
    assert tokens == [*((piece, None) for piece in pieces), ("", finish or "stop")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
likely = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.integers(-1, 2) | json_values,
                    "delta": st.fixed_dictionaries({}, optional={"content": json_values, "role": json_values}),
                    "text": json_values,
                    "finish_reason": st.text(max_size=3) | json_values,
                },
            )
            | json_values,
            max_size=2,
        ),
        "model": json_values,
        "error": json_values,
    },
)


@examples(300)
@given(stream=st.lists(likely.map(json.dumps).map(str.encode) | st.binary(max_size=20) | st.just(DONE), max_size=6))
def test_any_events_end_at_most_once(stream: list[bytes]) -> None:
    """Whatever a server sends, it is a message, nothing or a refusal, and there is exactly one end, as the last."""
    events = OpenAiEvents("s", "m")
    found: list[TokenRequest | None] = []
    for event in stream:
        try:
            found.append(events.message(event))
        except (InvalidJsonError, InvalidMessageError):
            continue
    found.append(events.end("error"))
    ends = [message.complete for message in found if message is not None]
    assert sum(end is not None for end in ends) == 1
    assert ends[-1] is not None


def test_only_the_first_message_says_when_it_was_asked_for() -> None:
    """Chunks that make no message do not use it up."""
    events = OpenAiEvents("s", "m", requested_at=1_700_000_000_000)
    found = [events.message(event) for event in (ROLE, chat("a"), chat("b"), DONE)]
    times = [message.requested_at for message in found if message is not None]
    assert times == [1_700_000_000_000, None, None]
