"""Lists of streams: in pages, by key or by what stands out."""

from __future__ import annotations

import time

import pytest
from redis.asyncio import Redis

from rlb.errors import InvalidMessageError
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S, eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import M


async def keys_of_pages(core: RunningCore, sort: str = "key", limit: int = 3, model: str | None = None) -> list[str]:
    """The keys of all pages, one page after the other."""
    keys: list[str] = []
    cursor: str | None = None
    while True:
        page = await core.core.streams.page(model_id=model, sort=sort, limit=limit, cursor=cursor)  # type: ignore[arg-type]
        assert len(page.streams) <= limit
        keys += [stream.key for stream in page.streams]
        if (cursor := page.next_cursor) is None:
            return keys


async def make_streams(core: RunningCore, lengths: dict[str, int], model: str = M) -> None:
    for session, length in lengths.items():
        for number in range(length):
            await core.write(str(number), session=session, model=model)


async def test_pages_by_key(core: RunningCore, redis: Redis) -> None:
    """Every stream once, in order, whoever wrote it and whatever comes and goes between two pages."""
    await make_streams(core, {f"s-{number:02}": 1 for number in range(10)})
    await redis.xadd(core.stream("s-99").key, {"data": "{}"})
    expected = [core.stream(f"s-{number:02}").key for number in range(10)] + [core.stream("s-99").key]
    for limit in (1, 3, 11, 100):
        assert await keys_of_pages(core, limit=limit) == expected
    first = await core.core.streams.page(model_id=None, sort="key", limit=4, cursor=None)
    await core.core.streams.delete(core.stream("s-03"))
    await core.core.streams.delete(core.stream("s-05"))
    await core.write("new", session="s-04a")
    rest = await core.core.streams.page(model_id=None, sort="key", limit=100, cursor=first.next_cursor)
    seen = [stream.session_id for stream in first.streams + rest.streams]
    assert seen == ["s-00", "s-01", "s-02", "s-03", "s-04", "s-04a", "s-06", "s-07", "s-08", "s-09", "s-99"]


async def test_pages_of_a_model(core: RunningCore) -> None:
    """Only the streams of that very model."""
    await make_streams(core, {"s-1": 1, "s-2": 1})
    await make_streams(core, {"s-1": 1, "s-3": 1}, model="llama3.1:8b")
    assert await keys_of_pages(core, model="llama3.1:8b") == [
        "llm:stream:s-1:llama3.1:8b",
        "llm:stream:s-3:llama3.1:8b",
    ]
    assert await keys_of_pages(core, model="llama3.1") == []


async def test_pages_sorted_by_what_stands_out(core: RunningCore) -> None:
    """The largest value comes first, equal ones by key, over all pages."""
    await make_streams(core, {"a": 2, "b": 7, "c": 4, "d": 4, "e": 1})
    for session in "abcde":
        await core.core.groups.create(core.stream(session), "g")
    await core.read("g", "c", count=100, session="b")
    await core.read("g", "c", count=1, session="c")

    async def order(sort: str) -> str:
        return "".join(key.split(":")[2] for key in await keys_of_pages(core, sort=sort, limit=2))

    assert await order("length") == "bcdae"
    assert await order("lag") == "dcaeb"
    assert await order("pending") == "bcade"
    assert await order("age") == "abcde"


@pytest.mark.parametrize("cursor", ["-1", "x", "1.5", "9" * 10, ""])
async def test_a_cursor_that_no_page_gave_is_refused(cursor: str, core: RunningCore) -> None:
    """Sorted pages go by an offset; anything else is told, not guessed at."""
    with pytest.raises(InvalidMessageError):
        await core.core.streams.page(model_id=None, sort="length", limit=1, cursor=cursor)


async def test_a_list_without_streams(core: RunningCore) -> None:
    """An empty page, and no next one."""
    page = await core.core.streams.page(model_id=None, sort="key", limit=10, cursor=None)
    assert (page.streams, page.next_cursor) == ((), None)


async def test_a_list_with_keys_that_are_no_streams(core: RunningCore, redis: Redis) -> None:
    """What the index knows and is gone, or is another type by now, is left out."""
    await make_streams(core, {"s-1": 1, "s-2": 1, "s-3": 1})
    await eventually(lambda: _count_is(redis, 3))
    await redis.delete(core.stream("s-1").key)
    await redis.delete(core.stream("s-2").key)
    await redis.set(core.stream("s-2").key, "mine")
    for sort in ("key", "length"):
        assert await keys_of_pages(core, sort=sort) == [core.stream("s-3").key]


async def _count_is(redis: Redis, count: int) -> bool:
    return bool(await redis.zcard("llm:streams") == count)


async def test_a_list_of_many_streams(start_core: StartCore, server: RedisServer) -> None:
    """A thousand streams are looked at in a moment."""
    core = await start_core(server.url).ready()
    connection = core.connection()
    for number in range(1000):
        connection.send("a", session=f"s-{number:04}")
    await connection.answers()
    started_s = time.monotonic()
    assert len(await keys_of_pages(core, sort="length", limit=1000)) == 1000
    assert time.monotonic() - started_s < PATIENCE_S
