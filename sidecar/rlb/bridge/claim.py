"""The claim: taking a stream over and appending to it in one step. Command and reply, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlb.domain.draft import Draft
from rlb.domain.entry_id import EntryId, parse_entry_id
from rlb.redis_io.command import Arg


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one stream: entries (approximate) and the age of entries in ms; 0 is without limit."""

    max_length: int
    retention_ms: int


@dataclass(frozen=True, slots=True)
class ClaimReply:
    """What a claim found and did. `before` is the stream's last id at that moment."""

    verdict: str
    entry_id: EntryId | None
    before: EntryId
    limits: Limits
    newer: tuple[tuple[str, EntryId], ...]
    """Message id and entry id of what stands behind the id that the caller knew, oldest first. A message id that
    cannot be read is empty."""
    follows_foreign: bool
    """Whether the last entry was written by somebody who does not number entries as rlb does (`XADD *`)."""
    ahead_s: float
    """How long it takes until the new entry's id is in the past, if it is not."""
    first: EntryId | None
    """The first entry that the stream still held."""


def claim_arguments(
    *, known: EntryId, strict: bool, window: int, draft: Draft, floor: int, limits: Limits
) -> tuple[Arg, ...]:
    """The arguments of the claim script; `floor` is the lowest sequence that the new entry may get."""
    return (
        known.wire,
        b"1" if strict else b"0",
        window,
        draft.message_id,
        floor,
        limits.max_length,
        limits.retention_ms,
        draft.head,
        draft.tail,
        *further_fields(draft),
    )


def further_fields(draft: Draft) -> tuple[Arg, ...]:
    """The fields of an entry beside `data`; always in this order, so that Redis shares their names in a node."""
    if draft.traceparent is None:
        return ()
    if draft.tracestate is None:
        return (b"traceparent", draft.traceparent)
    return (b"traceparent", draft.traceparent, b"tracestate", draft.tracestate)


def parse_claim_reply(reply: list[Any]) -> ClaimReply:
    """Read the claim script's reply."""
    verdict, entry_id, before, max_length, retention_ms, flat, foreign, ahead_ms, first = reply
    pairs = zip(flat[::2], flat[1::2], strict=True)
    newer = tuple((message_id.decode("utf-8", "replace"), parse_entry_id(at)) for message_id, at in pairs)
    return ClaimReply(
        verdict.decode(),
        parse_entry_id(entry_id) if entry_id else None,
        parse_entry_id(before),
        Limits(max_length, retention_ms),
        newer[::-1],
        foreign == b"1",
        ahead_ms / 1000,
        parse_entry_id(first) if first else None,
    )
