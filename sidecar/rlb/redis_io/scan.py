"""Reading a stretch of a stream in pages."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from rlb.domain.entry_id import EntryId, parse_entry_id
from rlb.redis_io.link import Link

PAGE = 1000
"""Entries a page: about a millisecond of Redis's time."""


async def message_ids(link: Link, key: bytes, after: EntryId, until: EntryId) -> tuple[tuple[str, EntryId], ...]:
    """The message id and entry id of everything in `(after, until]`, oldest first; unreadable message ids are empty."""
    found: list[tuple[str, EntryId]] = []
    while True:
        page = await link.call(b"XRANGE", key, after.after, until.wire, b"COUNT", PAGE, what="read back")
        found += [(_message_id(fields), parse_entry_id(entry_id)) for entry_id, fields in page]
        if len(page) < PAGE:
            return tuple(found)
        after = found[-1][1]


def _message_id(fields: list[Any]) -> str:
    try:
        message = from_json(fields[fields.index(b"data") + 1])
    except ValueError:
        return ""
    message_id = message.get("id") if isinstance(message, dict) else None
    return message_id if isinstance(message_id, str) else ""
