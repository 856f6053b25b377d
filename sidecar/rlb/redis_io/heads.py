"""Where a stream stands."""

from __future__ import annotations

from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.redis_io import xinfo
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ReplyError, api_error, is_no_key


async def first_entry_id(link: Link, key: bytes) -> EntryId | None:
    """The first entry that the stream holds; None without one."""
    rows = await link.call(b"XRANGE", key, b"-", b"+", b"COUNT", 1, what="look")
    return xinfo.first_id(rows)


async def last_generated_id(link: Link, stream: StreamKey) -> EntryId | None:
    """The last id that the stream gave out, whether or not its entry is still there; None without a stream.

    Raises:
        WrongTypeError: the key holds something else.
        ApiError: Redis did not answer.
    """
    try:
        return xinfo.stream_facts(await link.call(b"XINFO", b"STREAM", stream.key, what="look")).last_generated_id
    except ReplyError as error:
        if is_no_key(error):
            return None
        raise api_error(error, stream.key) from None
