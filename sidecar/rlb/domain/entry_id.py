"""Entry ids: the `<milliseconds>-<sequence>` pair by which Redis orders a stream."""

from __future__ import annotations

import re
from typing import NamedTuple

from rlb.errors import InvalidIdError

_PATTERN = re.compile(r"(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})", re.ASCII)
_U64_MAX = 2**64 - 1


class EntryId(NamedTuple):
    """An entry id; compares as Redis compares.

    Where rlb wrote the entry, `ms` is the time of the writer's claim (Redis time) and `seq` is the message's
    `metadata.sequence`.
    """

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @property
    def wire(self) -> bytes:
        """The id as a command argument."""
        return b"%d-%d" % self

    @property
    def after(self) -> bytes:
        """The exclusive lower bound of a range that starts behind this id."""
        return b"(%d-%d" % self


ZERO = EntryId(0, 0)
"""Before every entry; the last generated id of a stream that never held one."""


def parse_entry_id(text: str | bytes) -> EntryId:
    """Read a complete entry id.

    Raises:
        InvalidIdError: for anything but two unsigned 64-bit decimals joined by `-`. There is no fallback to the
            start of the stream: a client that sends a broken id must not be sent everything again.
    """
    plain = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    match = _PATTERN.fullmatch(plain)
    if match is None:
        raise InvalidIdError(f"expected <milliseconds>-<sequence> (got {len(plain)} characters)")
    entry_id = EntryId(int(match[1]), int(match[2]))
    if max(entry_id) > _U64_MAX:
        raise InvalidIdError("both halves of an entry id are below 2^64")
    return entry_id
