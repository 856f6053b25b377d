"""Drafts: the JSON in Redis is the guide's StreamMessage, member for member, whatever the text."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlb.domain.draft import (
    CompleteRequest,
    Draft,
    DraftMetadata,
    MessageRequest,
    TokenRequest,
    draft_completion,
    draft_from_message,
    draft_from_token,
    new_message_id,
    refusal,
)
from rlb.domain.message import StreamMessage
from rlb.errors import InvalidJsonError, InvalidMessageError
from tests.support.fuzz import examples

NOW_MS = 1_732_276_800_123
TEXTS = [
    "",
    "Hello",
    'a "quoted" \\ back\\slash / slash',
    "line\nbreak\r\n\ttab\x00\x01\x1f\x7f",
    "\u2028\u2029\ufeff",
    "caf\u00e9 \u4f60\u597d \U0001f600\U0001f469\u200d\U0001f52c",
    '"}],"sequence":-1,{',
    "%d %b {0} $1 \\u0041",
    "x" * 100_000,
]


def token(text: str = "t", **more: Any) -> TokenRequest:
    return TokenRequest.model_validate({"sessionId": "s-1", "modelId": "org/m:8b", "token": text, **more})


def whole(**more: Any) -> dict[str, Any]:
    return {
        "id": "1732276800000-abc",
        "sessionId": "s-1",
        "modelId": "org/m:8b",
        "token": "t",
        "metadata": {"timestamp": 5, "sequence": 1, "isComplete": False, "model": "m"},
        "payload": {"content": "c", "role": "user"},
        **more,
    }


def decoded(draft: Draft, sequence: int = 7) -> dict[str, Any]:
    """The message as a strict reader gets it: no member twice, no NaN, one line."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), "a member stands twice"
        return dict(pairs)

    data = draft.data(sequence)
    assert b"\n" not in data
    assert b"\r" not in data
    message: dict[str, Any] = json.loads(data, object_pairs_hook=members, parse_constant=pytest.fail)
    assert next(iter(message)) == "id"
    return message


def test_a_token_is_the_guides_structure_exactly() -> None:
    """Members, nesting and defaults are those of the guide's produceToken, and there is no other member."""
    assert decoded(draft_from_token(token(messageId="id-1"), NOW_MS)) == {
        "id": "id-1",
        "sessionId": "s-1",
        "modelId": "org/m:8b",
        "token": "t",
        "metadata": {"timestamp": NOW_MS, "sequence": 7, "isComplete": False, "model": "org/m:8b"},
        "payload": {"content": "t", "role": "assistant"},
    }


def test_a_completion_is_the_guides_structure_exactly() -> None:
    """The guide's markStreamComplete writes an empty message that is complete and tells why."""
    request = CompleteRequest.model_validate({"sessionId": "s-1", "modelId": "m", "messageId": "id-1"})
    draft = draft_completion(request, NOW_MS)
    assert draft.complete == "stop"
    assert decoded(draft) == {
        "id": "id-1",
        "sessionId": "s-1",
        "modelId": "m",
        "token": "",
        "metadata": {"timestamp": NOW_MS, "sequence": 7, "isComplete": True, "model": "m"},
        "payload": {"content": "", "role": "assistant", "finishReason": "stop"},
    }


def test_all_that_an_app_may_say_of_a_token() -> None:
    """Given metadata wins over the defaults, but for the sequence, which is always assigned."""
    request = token(
        metadata={"timestamp": 1, "sequence": 999, "model": "other", "temperature": 0.7, "maxTokens": 64},
        role="user",
        complete="length",
        messageId="id-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        durability="fsynced",
    )
    draft = draft_from_token(request, NOW_MS)
    message = decoded(draft)
    assert message["metadata"] == {
        "timestamp": 1,
        "sequence": 7,
        "isComplete": True,
        "model": "other",
        "temperature": 0.7,
        "maxTokens": 64,
    }
    assert message["payload"] == {"content": "t", "role": "user", "finishReason": "length"}
    assert (draft.complete, draft.named, draft.durability) == ("length", True, "fsynced")
    assert draft.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_complete_in_the_metadata_ends_the_generation() -> None:
    """`metadata.isComplete` without a reason completes with `stop`."""
    draft = draft_from_token(token(metadata={"isComplete": True}), NOW_MS)
    assert draft.complete == "stop"
    assert decoded(draft)["payload"]["finishReason"] == "stop"


def test_a_whole_message_keeps_what_it_says() -> None:
    """The guide's addMessage stores the message as given, its further metadata included, with a new sequence."""
    body = whole(
        metadata={"timestamp": 5, "sequence": 1, "isComplete": False, "model": "m", "trace": {"a": [1, None, "\u00e9"]}}
    )
    draft = draft_from_message(MessageRequest.model_validate(body), NOW_MS)
    assert decoded(draft) == body | {"metadata": body["metadata"] | {"sequence": 7}}
    assert (draft.message_id, draft.named, draft.complete) == ("1732276800000-abc", True, None)


@pytest.mark.parametrize(
    ("complete", "reason", "ends_with"),
    [(False, None, None), (False, "length", None), (True, "length", "length"), (True, None, "stop")],
)
def test_a_whole_messages_end(complete: bool, reason: str | None, ends_with: str | None) -> None:
    """The finish reason of a whole message is kept as it is; without one, a complete message counts as stopped."""
    payload = {"content": "c", "role": "user"} | ({"finishReason": reason} if reason else {})
    body = whole(payload=payload, metadata={"timestamp": 5, "sequence": 1, "isComplete": complete, "model": "m"})
    draft = draft_from_message(MessageRequest.model_validate(body), NOW_MS)
    assert draft.complete == ends_with
    assert decoded(draft)["payload"] == payload


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_that_break_encoders(text: str) -> None:
    """Quotes, control characters, line separators and emoji arrive as they were, on one line."""
    message = decoded(draft_from_token(token(text), NOW_MS))
    assert message["token"] == message["payload"]["content"] == text


@examples(300)
@given(st.text(), st.text(), st.integers(1, 2**63 - 1))
def test_any_text_survives(text: str, content: str, sequence: int) -> None:
    """Any text of a token or a message comes back through a JSON reader, with the sequence in its place."""
    assert decoded(draft_from_token(token(text), NOW_MS), sequence)["token"] == text
    request = MessageRequest.model_validate(whole(token=text, payload={"content": content, "role": "system"}))
    message = decoded(draft_from_message(request, NOW_MS), sequence)
    assert (message["token"], message["payload"]["content"]) == (text, content)
    assert message["metadata"]["sequence"] == sequence
    StreamMessage.model_validate(message)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = {name for field, info in DraftMetadata.model_fields.items() for name in (field, info.alias)}


@examples(200)
@given(st.dictionaries(st.text().filter(lambda name: name not in KNOWN), JSON_VALUES, max_size=4))
def test_further_members_of_a_whole_message_survive(more: dict[str, Any]) -> None:
    """Members of the metadata that the guide does not know are stored as they came over the wire."""
    body = whole(metadata={"timestamp": 5, "sequence": 7, "isComplete": False, "model": "m", **more})
    request = MessageRequest.model_validate_json(json.dumps(body))
    assert decoded(draft_from_message(request, NOW_MS)) == body


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("member", ["temperature", "note", "nested"])
def test_numbers_that_are_no_json_are_refused(number: str, member: str) -> None:
    """What no strict JSON reader could read never gets into a stream."""
    value = f'[{{"deep":{number}}}]' if member == "nested" else number
    body = json.dumps(whole()).replace('"model": "m"', f'"model": "m", "{member}": {value}')
    with pytest.raises(ValidationError) as refused:
        MessageRequest.model_validate_json(body)
    assert isinstance(refusal(refused.value), InvalidMessageError | InvalidJsonError)


@examples(100)
@given(FINITE, st.integers(-(2**63), 2**63))
def test_numbers_survive(temperature: float, max_tokens: int) -> None:
    """Any temperature and any token count read back as the same number."""
    metadata = decoded(draft_from_token(token(metadata={"temperature": temperature, "maxTokens": max_tokens}), 1))
    assert math.isclose(metadata["metadata"]["temperature"], temperature, rel_tol=0, abs_tol=0)
    assert metadata["metadata"]["maxTokens"] == max_tokens


@examples(50)
@given(st.text(), st.integers(1, 2**63 - 1))
def test_the_size_counts_every_byte_but_the_sequence(text: str, sequence: int) -> None:
    """`size` is what a waiting message holds."""
    draft = draft_from_token(token(text), NOW_MS)
    assert draft.size == len(draft.data(sequence)) - len(str(sequence))


def test_message_ids_are_given_where_the_app_gave_none() -> None:
    """An app's id is kept and marked as the app's; other messages get ids that do not repeat."""
    assert draft_from_token(token(messageId="mine"), NOW_MS).named
    drafts = [draft_from_token(token(), NOW_MS) for _ in range(1000)]
    assert not any(draft.named for draft in drafts)
    assert len({draft.message_id for draft in drafts} | {new_message_id()}) == 1001
    assert decoded(drafts[0])["id"] == drafts[0].message_id


CANARY = "SESAME-open-secret"
BAD_BODIES: dict[str, tuple[type[TokenRequest | MessageRequest | CompleteRequest], str]] = {
    "not json": (TokenRequest, CANARY),
    "half": (TokenRequest, f'{{"sessionId":"{CANARY}'),
    "control in a string": (TokenRequest, f'{{"token":"{CANARY}\x01"}}'),
    "lone surrogate": (TokenRequest, f'{{"token":"{CANARY}\\ud800"}}'),
    "no object": (TokenRequest, f'["{CANARY}"]'),
    "missing": (TokenRequest, f'{{"token":"{CANARY}"}}'),
    "wrong type": (TokenRequest, f'{{"sessionId":["{CANARY}"],"modelId":"m"}}'),
    "role": (TokenRequest, f'{{"sessionId":"s","modelId":"m","role":"{CANARY}"}}'),
    "message id": (TokenRequest, f'{{"sessionId":"s","modelId":"m","messageId":"{CANARY} x"}}'),
    "long message id": (TokenRequest, f'{{"sessionId":"s","modelId":"m","messageId":"{CANARY * 9}"}}'),
    "durability": (TokenRequest, f'{{"sessionId":"s","modelId":"m","durability":"{CANARY}"}}'),
    "finish reason": (TokenRequest, f'{{"sessionId":"s","modelId":"m","complete":"{CANARY} {{}}"}}'),
    "traceparent": (TokenRequest, f'{{"sessionId":"s","modelId":"m","traceparent":"{CANARY}"}}'),
    "timestamp": (TokenRequest, f'{{"sessionId":"s","modelId":"m","metadata":{{"timestamp":"{CANARY}"}}}}'),
    "ref": (TokenRequest, f'{{"sessionId":"s","modelId":"m","ref":["{CANARY}"]}}'),
    "reason": (CompleteRequest, f'{{"sessionId":"s","modelId":"m","finishReason":"{CANARY} "}}'),
    "whole message": (MessageRequest, json.dumps(whole(payload={"content": CANARY, "role": CANARY}))),
    "no metadata": (MessageRequest, f'{{"id":"i","token":"{CANARY}"}}'),
}
NO_JSON = ("not json", "half", "control in a string", "lone surrogate")


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_refusal_tells_field_and_rule_but_not_the_value(name: str) -> None:
    """What was sent may be a prompt or a secret: no refusal repeats it."""
    model, body = BAD_BODIES[name]
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(body)
    error = refusal(refused.value)
    assert error.code == ("invalid_json" if name in NO_JSON else "invalid_message")
    assert CANARY not in error.detail
    assert error.detail


@examples(300)
@given(st.text(min_size=4, max_size=40).filter(lambda text: not text.isascii()))
def test_no_refusal_repeats_any_text(text: str) -> None:
    """The same for any text in any field at once."""
    fields = ["sessionId", "modelId", "token", "role", "messageId", "durability", "open", "complete", "traceparent"]
    body = json.dumps(dict.fromkeys(fields, text) | {"metadata": {"model": [text], "timestamp": text}})
    with pytest.raises(ValidationError) as refused:
        TokenRequest.model_validate_json(body)
    assert text not in refusal(refused.value).detail
