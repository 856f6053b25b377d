"""The scripts: each verdict of a claim, and groups whose lag the server knows from the start."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.bridge.claim import ClaimReply, Limits, claim_arguments, parse_claim_reply
from rlb.domain.entry_id import ZERO, EntryId
from rlb.redis_io.scripts import CLAIM, CREATE_GROUP
from tests.servers.kinds import ServerKind
from tests.support.tokens import KEY, draft

CONFIG = f"llm:stream-config:{{{KEY}}}"


async def claim(
    redis: Redis, *, known: EntryId = ZERO, strict: bool = False, window: int = 10, **more: Any
) -> ClaimReply:
    """Run the claim as the writer sends it."""
    arguments = claim_arguments(
        known=known,
        strict=strict,
        window=window,
        draft=draft("t", message_id=more.get("message_id", "new")),
        floor=more.get("floor", 1),
        limits=Limits(0, 0),
    )
    reply: Any = await redis.eval(CLAIM.text, 2, KEY, CONFIG, *arguments)
    return parse_claim_reply(reply)


async def test_a_claim_of_nothing(server: object, redis: Redis) -> None:
    """On no stream at all the first entry is number 1."""
    reply = await claim(redis)
    assert (reply.verdict, reply.before, reply.newer) == ("appended", ZERO, ())
    assert reply.entry_id is not None
    assert reply.entry_id.seq == 1


async def test_a_message_that_is_there_is_not_written(server: object, redis: Redis) -> None:
    """The verdict names its entry, and what else stands behind the known id, oldest first."""
    first = await claim(redis, message_id="a")
    second = await claim(redis, message_id="b")
    reply = await claim(redis, message_id="a")
    assert (reply.verdict, reply.entry_id) == ("present", first.entry_id)
    assert reply.newer == (("a", first.entry_id), ("b", second.entry_id))
    assert await redis.xlen(KEY) == 2


async def test_a_strict_claim_refuses_what_it_does_not_know(server: object, redis: Redis) -> None:
    """Moved on by one entry, the stream refuses; at exactly the known id it takes."""
    first = await claim(redis, message_id="a")
    assert first.entry_id is not None
    reply = await claim(redis, strict=True, message_id="b")
    assert (reply.verdict, reply.entry_id, reply.before) == ("moved", None, first.entry_id)
    reply = await claim(redis, strict=True, known=first.entry_id, message_id="b")
    assert reply.verdict == "appended"


async def test_more_than_the_window_is_not_looked_through(server: object, redis: Redis) -> None:
    """A caller that knows too little is sent back with the newest entries, and nothing is written."""
    for number in range(15):
        await redis.xadd(KEY, {"data": f'{{"id":"m{number}"}}'})
    reply = await claim(redis)
    assert reply.verdict == "moved"
    assert [message_id for message_id, _ in reply.newer] == [f"m{number}" for number in range(4, 15)]
    assert await redis.xlen(KEY) == 15


async def test_a_claim_of_another_type_is_refused_as_it_is(server: object, redis: Redis) -> None:
    """Redis's own error comes through."""
    await redis.set(KEY, "x")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await claim(redis)


@pytest.mark.parametrize(("start", "lag"), [("0", 4), ("$", 0), ("middle", 2)])
async def test_the_lag_of_a_new_group_is_known(
    redis_kind: ServerKind, server: object, redis: Redis, start: str, lag: int
) -> None:
    """Where the server counts lag at all, it does so from the creation on, wherever the group starts."""
    ids = [await redis.xadd(KEY, {"data": "{}"}) for _ in range(4)]
    knows = b"1" if redis_kind.version >= (7, 0, 0) else b"0"
    at = ids[1] if start == "middle" else start
    assert await redis.eval(CREATE_GROUP.text, 1, KEY, "g", at, 100, knows, b"1", 0) == 1
    assert await redis.eval(CREATE_GROUP.text, 1, KEY, "g", at, 100, knows, b"1", 0) == 0
    await redis.xadd(KEY, {"data": "{}"})
    (group,) = await redis.xinfo_groups(KEY)
    if redis_kind.version >= (7, 0, 0):
        assert group["lag"] == lag + 1
    else:
        assert "lag" not in group
