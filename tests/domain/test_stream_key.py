"""Stream keys: which ids may be in one, and that a key names one session and one model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.keys import Keys
from rlb.domain.stream_key import (
    MODEL_ID_PATTERN,
    SESSION_ID_PATTERN,
    checked_name,
    parse_stream_key,
    stream_key,
)
from rlb.errors import InvalidMessageError
from tests.support.fuzz import examples

PREFIX = "llm:stream"
SESSION_IDS = st.from_regex(SESSION_ID_PATTERN.replace("$", r"\Z"), fullmatch=True)
MODEL_IDS = st.from_regex(MODEL_ID_PATTERN.replace("$", r"\Z"), fullmatch=True)


@pytest.mark.parametrize(
    ("session_id", "model_id"),
    [
        ("s-1", "gpt-4o"),
        ("s-1", "meta-llama/Llama-3.1-8B-Instruct"),
        ("s-1", "llama3.1:8b"),
        ("user@example.org", "registry:5000/org/model:tag@sha256"),
        ("a" * 128, "m" * 256),
        ("_", "/models/local"),
    ],
    ids=str,
)
def test_real_ids_make_the_key_of_the_guide(session_id: str, model_id: str) -> None:
    """The key is prefix, session and model joined by colons, and reads back as the same session and model."""
    stream = stream_key(PREFIX, session_id, model_id)
    assert stream.key == f"llm:stream:{session_id}:{model_id}"
    assert stream.wire == stream.key.encode()
    assert parse_stream_key(PREFIX, stream.key) == stream


@examples(300)
@given(SESSION_IDS, MODEL_IDS)
def test_a_key_names_one_session_and_one_model(session_id: str, model_id: str) -> None:
    """Whatever colons and slashes the model has, the key reads back as it was made."""
    assert parse_stream_key(PREFIX, stream_key(PREFIX, session_id, model_id).key) == stream_key(
        PREFIX, session_id, model_id
    )


@pytest.mark.parametrize(
    "session_id",
    ["", "a" * 129, "a:b", "a/b", "a b", "a\n", "{a}", "a{", "}", "\u00e9", "a\x00", "*", "?", "[a]", ".", "..", "~a"],
    ids=repr,
)
def test_session_ids_that_are_refused(session_id: str) -> None:
    """A session id holds no separator, no brace, no glob, and does not begin with a dot."""
    with pytest.raises(InvalidMessageError, match="sessionId"):
        stream_key(PREFIX, session_id, "m")


@pytest.mark.parametrize(
    "model_id",
    ["", "m" * 257, "a b", "a\n", "{m}", "m{tag}", "m}", "\u00e9", "m\x00", "*", "m?", "[m]", ":m", "m\\n"],
    ids=repr,
)
def test_model_ids_that_are_refused(model_id: str) -> None:
    """A model id may hold colons and slashes, but no brace (it would choose the slot), glob, blank or control."""
    with pytest.raises(InvalidMessageError, match="modelId"):
        stream_key(PREFIX, "s", model_id)


@examples(300)
@given(st.text(max_size=300), st.text(max_size=300))
def test_a_refused_id_is_not_repeated(session_id: str, model_id: str) -> None:
    """A prompt in the place of an id is not shown: the refusal tells the rule and the length."""
    canary = "CANARY"
    refused_id = session_id + canary + " "
    with pytest.raises(InvalidMessageError) as refused:
        stream_key(PREFIX, refused_id, model_id)
    assert canary not in refused.value.detail
    assert str(len(refused_id)) in refused.value.detail


@pytest.mark.parametrize(
    "key",
    [
        "",
        "llm:stream",
        "llm:stream:",
        "llm:stream:s",
        "llm:stream:s:",
        "llm:stream::m",
        "llm:streams",
        "llm:stream-config:{llm:stream:s:m}",
        "llm:dlq:g",
        "other:s:m",
        "llm:stream:{s}:m",
        "llm:stream:s:m\n",
    ],
    ids=repr,
)
def test_keys_that_do_not_follow_the_template(key: str) -> None:
    """Other keys, ours among them, name no stream."""
    assert parse_stream_key(PREFIX, key) is None


@pytest.mark.parametrize("name", ["g", "team/indexer:v2", "a" * 128], ids=repr)
def test_names_of_groups_and_consumers(name: str) -> None:
    """Group and consumer names are as free as model ids."""
    assert checked_name("group", name) == name


@pytest.mark.parametrize("name", ["", "a" * 129, "a b", "{g}", "g\n", "\u00e9"], ids=repr)
def test_names_that_are_refused(name: str) -> None:
    """The refusal names the field and not the name."""
    with pytest.raises(InvalidMessageError, match=re.escape("consumer: expected")) as refused:
        checked_name("consumer", name)
    assert not name or name not in refused.value.detail.replace("consumer", "").replace("characters", "")


@pytest.mark.parametrize(
    ("prefix", "index", "config", "dead_letters"),
    [
        ("llm:stream", "llm:streams", "llm:stream-config:{llm:stream:s:m}", "llm:dlq:g"),
        ("tenant:7:llm", "tenant:7:llms", "tenant:7:llm-config:{tenant:7:llm:s:m}", "tenant:7:dlq:g"),
        ("llm", "llms", "llm-config:{llm:s:m}", "llm:dlq:g"),
    ],
    ids=["default", "nested", "plain"],
)
def test_every_key_derives_from_the_prefix(prefix: str, index: str, config: str, dead_letters: str) -> None:
    """Index, configuration and dead letters stay below the prefix's namespace, and none of them looks like a stream."""
    keys = Keys(prefix)
    key = stream_key(prefix, "s", "m").key
    assert (keys.index, keys.config(key), keys.dead_letters("g")) == (index, config, dead_letters)
    assert parse_stream_key(prefix, keys.index) is None
    assert parse_stream_key(prefix, keys.config(key)) is None
