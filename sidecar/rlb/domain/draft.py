"""Drafts: messages as producers send them, checked, and encoded up to the sequence that the append path assigns."""

from __future__ import annotations

import itertools
import os
import random
import re
from dataclasses import dataclass
from functools import lru_cache
from json import dumps
from json.encoder import encode_basestring as _quoted
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from rlb.domain.message import Role
from rlb.domain.trace_context import MAX_STATE_CHARACTERS, TraceContext, parse_trace_state
from rlb.errors import ApiError, InvalidJsonError, InvalidMessageError

Durability = Literal["written", "replicated", "fsynced"]
MessageId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
FinishReason = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Ref = Annotated[str, Field(max_length=128)] | int
TraceParent = Annotated[str, Field(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
MAX_UNIX_MS = 2**53
"""The greatest whole number that all JSON parsers read alike."""
UnixMs = Annotated[int, Field(ge=0, le=MAX_UNIX_MS)]


class _Request(BaseModel):
    """Strict on purpose: a misspelt field is an error to be told about, not something to drop in silence."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class DraftMetadata(_Request):
    """What an app may say of a message. `sequence` is accepted, as in the guide's type, and always reassigned."""

    timestamp: UnixMs | None = None
    sequence: int | None = None
    is_complete: bool = False
    model: Annotated[str, Field(max_length=256)] | None = None
    temperature: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max_tokens: int | None = None


class TokenRequest(_Request):
    """A produced token: the body of `POST /v1/tokens`, or one line of it.

    `open` begins a generation anew on this connection; `complete` is a finish reason and ends it.
    """

    session_id: str
    model_id: str
    token: str = ""
    metadata: DraftMetadata | None = None
    role: Role = "assistant"
    message_id: MessageId | None = None
    ref: Ref | None = None
    durability: Durability = "written"
    open: bool = False
    complete: FinishReason | None = None
    traceparent: TraceParent | None = None
    tracestate: Annotated[str, Field(max_length=MAX_STATE_CHARACTERS)] | None = None
    requested_at: UnixMs | None = None


class CompleteRequest(_Request):
    """The body of `POST /v1/streams/complete`."""

    session_id: str
    model_id: str
    finish_reason: FinishReason = "stop"
    message_id: MessageId | None = None
    durability: Durability = "written"


class DraftPayload(_Request):
    """`payload` of a whole message."""

    content: str
    role: Role
    finish_reason: FinishReason | None = None


class WholeMessageMetadata(DraftMetadata):
    """`metadata` of a whole message: members beyond the guide's are kept."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    @model_validator(mode="after")
    def _is_json_to_all(self) -> Self:
        """The parser reads NaN and takes 1e999 for infinity; written out, few readers of the stream would."""
        if self.model_extra:
            try:
                dumps(self.model_extra, allow_nan=False)
            except ValueError:
                raise ValueError("a number is not finite") from None
        return self


class MessageRequest(_Request):
    """A whole StreamMessage: the body of `POST /v1/messages`, or one line of it. Its `id` is its message id."""

    id: MessageId
    session_id: str
    model_id: str
    token: str
    metadata: WholeMessageMetadata
    payload: DraftPayload
    ref: Ref | None = None
    durability: Durability = "written"


@dataclass(slots=True, eq=False)
class Draft:
    """A message that lacks only its sequence: its JSON is `head`, the sequence's digits, `tail`."""

    message_id: str
    head: bytes
    tail: bytes
    complete: str | None
    named: bool
    """The app chose the message id, so it may come again and must be recognised."""
    durability: Durability
    traceparent: str | None
    tokens: int = 1
    """0 for a message that only ends its generation."""
    is_output: bool = True
    """Part of what a model generates, and not what somebody said to it."""
    requested_at: int | None = None
    """When the app received the request, by its own word: Unix ms."""
    told_sequence: int | None = None
    """`metadata.sequence` as the app counts, which does not go into the stream."""
    tracestate: str | None = None
    """Of `traceparent`; not without it."""

    @property
    def size(self) -> int:
        """Bytes that the draft holds while it waits."""
        return len(self.head) + len(self.tail)

    def belong_to(self, context: TraceContext) -> None:
        """Carry this context, unless the app has named one for the message itself."""
        if self.traceparent is None:
            self.traceparent, self.tracestate = context.traceparent, context.state

    def data(self, sequence: int) -> bytes:
        """The whole JSON."""
        return b"%b%d%b" % (self.head, sequence, self.tail)


# Unique in this process by the counter, among processes by the random part; drawn once, as a draw a token shows.
_run_id = f"{int.from_bytes(os.urandom(6), 'big'):012x}"
_counter = itertools.count(random.getrandbits(16))


def new_message_id() -> str:
    """A message id for a message whose app gave none."""
    return f"{_run_id}-{next(_counter):x}"


def draft_from_token(request: TokenRequest, now_ms: int) -> Draft:
    """The draft of a produced token; `now_ms` is its timestamp unless the app gave one."""
    metadata = request.metadata
    complete = request.complete
    timestamp, model, more, sequence = now_ms, request.model_id, "", None
    if metadata is not None:
        sequence = metadata.sequence
        if complete is None and metadata.is_complete:
            complete = "stop"
        timestamp, model, more = _told(metadata, now_ms, model)
    named = request.message_id is not None
    message_id = request.message_id or new_message_id()
    token = _quoted(request.token)
    where = _where(request.session_id, request.model_id)
    ending = _ENDING if complete is None else _ending(complete)
    head = f'{{"id":{_quoted(message_id)},{where}{token},"metadata":{{"timestamp":{timestamp},"sequence":'
    tail = f'{ending[0]}{_quoted(model)}{more}}},"payload":{{"content":{token},"role":"{request.role}"{ending[1]}'
    return Draft(
        message_id,
        head.encode(),
        tail.encode(),
        complete,
        named,
        request.durability,
        request.traceparent,
        0 if complete is not None and not request.token else 1,
        request.role == "assistant",
        request.requested_at,
        sequence,
        parse_trace_state(request.tracestate) if request.tracestate is not None and request.traceparent else None,
    )


def draft_from_message(request: MessageRequest, now_ms: int) -> Draft:
    """The draft of a whole message."""
    metadata, payload = request.metadata, request.payload
    complete = (payload.finish_reason or "stop") if metadata.is_complete else None
    timestamp, model, more = _told(metadata, now_ms, request.model_id)
    if metadata.model_extra:
        more += f",{dumps(metadata.model_extra, ensure_ascii=False, separators=(',', ':'))[1:-1]}"
    flag, _ = _ENDING if complete is None else _ending(complete)
    # A whole message keeps its own finish reason, be it none.
    _, end = _ENDING if payload.finish_reason is None else _ending(payload.finish_reason)
    where = _where(request.session_id, request.model_id)
    token, content = _quoted(request.token), _quoted(payload.content)
    head = f'{{"id":{_quoted(request.id)},{where}{token},"metadata":{{"timestamp":{timestamp},"sequence":'
    tail = f'{flag}{_quoted(model)}{more}}},"payload":{{"content":{content},"role":"{payload.role}"{end}'
    return Draft(
        request.id,
        head.encode(),
        tail.encode(),
        complete,
        True,
        request.durability,
        None,
        0 if complete is not None and not request.token else 1,
        payload.role == "assistant",
        None,
        metadata.sequence,
    )


def draft_completion(request: CompleteRequest, now_ms: int) -> Draft:
    """The empty last message by which markStreamComplete ends a generation."""
    return draft_from_token(
        TokenRequest.model_construct(
            session_id=request.session_id,
            model_id=request.model_id,
            token="",
            complete=request.finish_reason,
            message_id=request.message_id,
            durability=request.durability,
        ),
        now_ms,
    )


# The JSON is put together by hand: a serialiser costs several times more, on every token. `id` comes first, as the
# claim script and other readers look for it there; the digits of the sequence come between head and tail.

_ENDING = (',"isComplete":false,"model":', "}}")


def _ending(finish_reason: str) -> tuple[str, str]:
    return ',"isComplete":true,"model":', f',"finishReason":{_quoted(finish_reason)}}}}}'


@lru_cache(maxsize=4096)
def _where(session_id: str, model_id: str) -> str:
    return f'"sessionId":{_quoted(session_id)},"modelId":{_quoted(model_id)},"token":'


def _told(metadata: DraftMetadata, now_ms: int, model_id: str) -> tuple[int, str, str]:
    """Timestamp, model, and the further members that an app has told."""
    more = ""
    if metadata.temperature is not None:
        more += f',"temperature":{metadata.temperature!r}'
    if metadata.max_tokens is not None:
        more += f',"maxTokens":{metadata.max_tokens}'
    timestamp = metadata.timestamp if metadata.timestamp is not None else now_ms
    return timestamp, metadata.model if metadata.model is not None else model_id, more


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)


def refusal(error: ValidationError) -> ApiError:
    """The problem that a refused body or line gets: which field, what was expected, never the value."""
    first: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return InvalidJsonError(str(first["msg"]))
    where = ".".join(map(_told_name, first["loc"])) or "body"
    return InvalidMessageError(f"{where}: {first['msg']}")


def _told_name(part: int | str) -> str:
    """A step of the way to a fault. A name that the app made up may be told if it is one, not if it is a text."""
    return str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "a member"
