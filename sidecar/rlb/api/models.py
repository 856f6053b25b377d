"""Bodies of the calls that are not tokens: what comes in, what goes out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel

from rlb.domain.message import StreamMessage
from rlb.domain.stream_key import MODEL_ID_PATTERN, SESSION_ID_PATTERN
from rlb.errors import BY_CODE

SessionId = Annotated[str, Field(pattern=SESSION_ID_PATTERN, max_length=128)]
ModelId = Annotated[str, Field(pattern=MODEL_ID_PATTERN, max_length=256)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@=+~:/-]{1,128}$")]
ENTRY_ID_PATTERN = r"^(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})$"
# Only told, not checked: a wrong id has a code of its own.
EntryIdText = Annotated[
    str, Field(max_length=64, examples=["1732276800000-7"], json_schema_extra={"pattern": ENTRY_ID_PATTERN})
]
Code = Annotated[str, Field(json_schema_extra={"enum": sorted(BY_CODE)})]
Milliseconds = Annotated[int, Field(ge=0, le=10 * 365 * 86_400_000)]

MAX_COUNT = 1000
"""Entries that one read, ack or nack may name."""


class Body(BaseModel):
    """What comes in: no member but those that are known."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """What goes out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class StreamBounds(Body):
    """Bounds of one stream; 0 is without limit."""

    max_length: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    retention_ms: Milliseconds | None = None
    consumer_group: Name | None = None


class CreateStream(Body):
    """Body of `PUT /v1/streams`."""

    session_id: SessionId
    model_id: ModelId
    config: StreamBounds | None = None


class CreateGroup(Body):
    """Body of `PUT /v1/groups`; `start` is `0`, `$` or an entry id."""

    session_id: SessionId
    model_id: ModelId
    group: Name
    start: Annotated[str, Field(max_length=64)] = "0"


class ReadMessages(Body):
    """Body of `POST /v1/messages/read`."""

    session_id: SessionId
    model_id: ModelId
    group: Name
    consumer: Name
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)] = 10
    block_ms: Annotated[int, Field(ge=0, le=60_000)] = 0


class Acknowledge(Body):
    """Body of `POST /v1/messages/ack`."""

    session_id: SessionId
    model_id: ModelId
    group: Name
    entry_ids: Annotated[list[EntryIdText], Field(min_length=1, max_length=MAX_COUNT)]


class Refuse(Acknowledge):
    """Body of `POST /v1/messages/nack`. The reason is kept for the dead letters: no payload in it."""

    reason: Annotated[str, Field(max_length=256)] = "refused by the app"


class TrimStream(Body):
    """Body of `POST /v1/streams/trim`: one of the two bounds."""

    session_id: SessionId
    model_id: ModelId
    max_length: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    older_than_ms: Milliseconds | None = None


class ChooseDeadLetters(Body):
    """Body of `POST /v1/dead-letters/replay` and `/drop`."""

    group: Name
    ids: Annotated[list[EntryIdText], Field(min_length=1, max_length=MAX_COUNT)]


class Ack(Answer):
    """The answer to a producer: where the message stands, and how durable it is."""

    message_id: str
    entry_id: str
    sequence: int
    durability: Literal["written", "replicated", "fsynced"]
    duplicate: bool | None = None


class LineError(Answer):
    """What is wrong with one line."""

    code: Code
    detail: str


class AckLine(Answer):
    """One line of a streamed answer: an ack, or an error."""

    ref: str | int | None = None
    message_id: str | None = None
    entry_id: str | None = None
    sequence: int | None = None
    durability: Literal["written", "replicated", "fsynced"] | None = None
    duplicate: bool | None = None
    error: LineError | None = None


class Delivered(Answer):
    """A delivery of `/v1/messages/read`; `message` is null where the entry holds none.

    `traceparent` is there if the entry carries the context of the generation's span, or of its app's.
    """

    entry_id: str
    delivery_count: int
    traceparent: str | None = None
    message: StreamMessage | None


class Messages(Answer):
    """Answer of `/v1/messages/read`."""

    messages: list[Delivered]


class DeliveryLine(Delivered):
    """One line of `/v1/subscribe`."""

    session_id: str
    model_id: str


class TailLine(Answer):
    """One line of `/v1/tail` as NDJSON: one of these."""

    entry_id: str | None = None
    traceparent: str | None = None
    message: StreamMessage | None = None
    gap: dict[str, Any] | None = None
    end: bool | None = None
    error: LineError | None = None
    ping: bool | None = None


class TailServerSentEvent(Answer):
    """One event of `/v1/tail` as an event stream; `data` is JSON: for `message`, a StreamMessage."""

    id: str | None = None
    event: Literal["message", "gap", "end", "error"]
    data: str


class Acknowledged(Answer):
    """How many deliveries were settled."""

    acknowledged: int


class Removed(Answer):
    """How many entries were removed."""

    removed: int


class Created(Answer):
    """Whether the call made something, or found it there."""

    created: bool


class DeadLetterInfo(Answer):
    """An entry that was set aside."""

    id: str
    stream: str
    entry_id: str
    consumer: str
    deliveries: int
    reason: str
    message: StreamMessage | None


class DeadLetterPage(Answer):
    """Dead letters, oldest first; go on with `after` = the last `id`."""

    dead_letters: list[DeadLetterInfo]


class Replayed(Answer):
    """Ids of the dead letters that are pending again."""

    replayed: list[str]


class Dropped(Answer):
    """How many dead letters were deleted."""

    dropped: int


class ComponentHealth(Answer):
    """One component: how it is, since when (Unix s), and why."""

    name: str
    state: Literal["up", "down", "starting", "stopping"]
    since: float
    reason: str | None


class HealthReport(Answer):
    """Answer of `/healthz`; `degraded` while a component is not up."""

    status: Literal["ok", "degraded", "draining"]
    components: list[ComponentHealth]


class Live(Answer):
    """Answer of `/livez` and `/readyz`."""

    status: str


class Problem(Answer):
    """RFC 9457, with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    request_id: str | None


class Described(RootModel[dict[str, Any]]):
    """An OpenAPI document."""
