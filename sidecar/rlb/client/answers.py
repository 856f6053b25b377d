"""What calls answer, beyond the messages and stream infos of the domain: plain, frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from rlb.domain.draft import Durability
from rlb.domain.message import StreamMessage


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to a producer: where its message stands in the stream.

    `sequence` counts the stream's messages from 1. `durability` is the level that was reached, which may be less than
    was asked for. `duplicate`: the message had been written before, and this is that entry.
    """

    message_id: str
    entry_id: str
    sequence: int
    durability: Durability
    duplicate: bool = False


def ack_from_wire(members: dict[str, Any]) -> Ack:
    """The ack that a line or an answer holds."""
    return Ack(
        members["messageId"],
        members["entryId"],
        members["sequence"],
        members["durability"],
        members.get("duplicate") is True,
    )


def message_from_wire(members: Any) -> StreamMessage | None:
    """The message, or None where an entry holds something else: other writers may put anything into a stream."""
    try:
        return StreamMessage.model_validate(members)
    except ValidationError:
        return None


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class DeadLetter(_Answer):
    """An entry that a group could not handle. `id` is its own among the dead letters of the group.

    `entry_id` is where it stood in the Redis key `stream`; `message` is None where it holds no StreamMessage.
    """

    id: str
    stream: str
    entry_id: str
    consumer: str
    deliveries: int
    reason: str
    message: StreamMessage | None


class PendingInfo(_Answer):
    """An entry that was delivered and is not acknowledged; `idle_seconds` is since its latest delivery or claim."""

    entry_id: str
    consumer: str
    idle_seconds: float
    deliveries: int


class PendingPage(_Answer):
    """Pending entries, the lowest ids first; `next_after` leads to the next page, None on the last one."""

    pending: tuple[PendingInfo, ...]
    next_after: str | None


class Component(_Answer):
    """One part of the sidecar: how it is, since when (Unix s), and why."""

    name: str
    state: Literal["up", "down", "starting", "stopping"]
    since: float
    reason: str | None = None


class Health(_Answer):
    """The sidecar's own report; `degraded` while a component is not up."""

    status: Literal["ok", "degraded", "draining"]
    components: tuple[Component, ...]

    @property
    def is_ok(self) -> bool:
        """Whether every component is up."""
        return self.status == "ok"
