"""Stream keys: `<prefix>:<sessionId>:<modelId>`, and the rules that keep one tenant out of another's key."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlb.errors import InvalidMessageError

SESSION_ID_PATTERN = r"^[A-Za-z0-9_-][A-Za-z0-9_.@=+~-]{0,127}$"
"""A session id: 1 to 128 characters, no `:` (it ends the id in the key), no `/` (it ends it in a path)."""

MODEL_ID_PATTERN = r"^[A-Za-z0-9_@./-][A-Za-z0-9_.@=+~:/-]{0,255}$"
"""A model id: 1 to 256 characters, as hubs and servers write them: `meta-llama/Llama-3.1-8B`, `llama3.1:8b`.

Neither may hold a brace: in Redis Cluster `{tag}` would choose the slot, and that choice is the operator's.
"""

_SESSION_ID = re.compile(SESSION_ID_PATTERN.removesuffix("$"), re.ASCII)
_MODEL_ID = re.compile(MODEL_ID_PATTERN.removesuffix("$"), re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.@=+~:/-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One session's stream of one model, and the Redis key that holds it."""

    session_id: str
    model_id: str
    key: str

    @property
    def wire(self) -> bytes:
        """The key as a command argument."""
        return self.key.encode("ascii")


def stream_key(prefix: str, session_id: str, model_id: str) -> StreamKey:
    """The stream of a session and a model.

    Raises:
        InvalidMessageError: when either breaks its length or character rule.
    """
    if _SESSION_ID.fullmatch(session_id) is None:
        raise _refused("sessionId", "1 to 128 characters of A-Z a-z 0-9 _ . @ = + ~ -", session_id)
    if _MODEL_ID.fullmatch(model_id) is None:
        raise _refused("modelId", "1 to 256 characters of A-Z a-z 0-9 _ . @ = + ~ : / -", model_id)
    return StreamKey(session_id, model_id, f"{prefix}:{session_id}:{model_id}")


def parse_stream_key(prefix: str, key: str) -> StreamKey | None:
    """The stream that a key names, or None for a key that does not follow the template."""
    head = f"{prefix}:"
    if not key.startswith(head):
        return None
    session_id, colon, model_id = key[len(head) :].partition(":")
    if not colon or _SESSION_ID.fullmatch(session_id) is None or _MODEL_ID.fullmatch(model_id) is None:
        return None
    return StreamKey(session_id, model_id, key)


def checked_name(field: str, name: str) -> str:
    """The name of a group or consumer.

    Raises:
        InvalidMessageError: when it breaks the length or character rule.
    """
    if _NAME.fullmatch(name) is None:
        raise _refused(field, "1 to 128 characters of A-Z a-z 0-9 _ . @ = + ~ : / -", name)
    return name


def _refused(field: str, expected: str, text: str) -> InvalidMessageError:
    """A refused id is told by its length, not by its characters: a prompt may have slipped in."""
    return InvalidMessageError(f"{field}: expected {expected} (got {len(text)} characters)")
