"""The guide's StreamMessage: what stands, as JSON, in the field `data` of every entry."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Role = Literal["assistant", "user", "system"]


class _Guide(BaseModel):
    """camelCase on the wire; unknown members are kept, so that what other writers add survives a passage."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)


class Metadata(_Guide):
    """`metadata` of a message. `sequence` counts the stream's messages from 1; `timestamp` is Unix time in ms."""

    timestamp: int
    sequence: int
    is_complete: bool
    model: str
    temperature: float | None = None
    max_tokens: int | None = None


class Payload(_Guide):
    """`payload` of a message; `finish_reason` stands on the last message of a generation."""

    content: str
    role: Role
    finish_reason: str | None = None


class StreamMessage(_Guide):
    """One message of a stream, field for field as in the guide."""

    id: str
    session_id: str
    model_id: str
    token: str
    metadata: Metadata
    payload: Payload

    @property
    def is_complete(self) -> bool:
        """Whether this message ends its generation."""
        return self.metadata.is_complete


class StreamConfig(_Guide):
    """`config` of createStream: bounds of one stream, in place of the sidecar's defaults.

    `max_length` is approximate (whole nodes are trimmed); 0 means without limit. `retention_ms` bounds the age of
    entries and, after the last write, the life of the key; 0 means without limit.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    max_length: int | None = None
    retention_ms: int | None = None
    consumer_group: str | None = None


def complete_of(message: Any) -> bool:
    """Whether decoded JSON is a message that ends its generation; False for anything that is not a message."""
    if not isinstance(message, dict):
        return False
    metadata = message.get("metadata")
    return isinstance(metadata, dict) and metadata.get("isComplete") is True
