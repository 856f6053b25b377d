"""Operations on whole streams: create, look, list, trim, delete."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from rlb.domain.message import StreamConfig
from rlb.domain.stream_info import StreamInfo
from rlb.errors import InvalidMessageError, StreamGoneError, StreamNotFoundError, WrongTypeError
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.stored import assert_gap_free, stored
from tests.support.tokens import KEY, M, S


async def info(core: RunningCore, session: str = S, model: str = M) -> StreamInfo:
    return await core.core.streams.info(core.stream(session, model))


async def test_creating_makes_an_empty_stream(core: RunningCore, redis: Redis) -> None:
    """It is there, empty, without a group, in the index; a second creation finds it."""
    assert await core.core.streams.create(core.stream(), None)
    assert not await core.core.streams.create(core.stream(), None)
    assert await redis.type(KEY) == b"stream"
    found = await info(core)
    assert (found.length, found.groups, found.complete, found.first_entry_id) == (0, (), None, None)
    page = await core.core.streams.page(model_id=None, sort="key", limit=10, cursor=None)
    assert [stream.key for stream in page.streams] == [KEY]


async def test_creating_with_a_group_and_bounds(core: RunningCore, redis: Redis) -> None:
    """The group gets what is written afterwards; the bounds are told and kept by writers."""
    config = StreamConfig(max_length=50, retention_ms=60_000, consumer_group="g")
    assert await core.core.streams.create(core.stream(), config)
    found = await info(core)
    assert (found.max_length, found.retention_ms) == (50, 60_000)
    assert [group.group for group in found.groups] == ["g"]
    await core.generate(3)
    assert len(await core.read("g", "c")) == 3


async def test_a_stream_that_is_never_written_goes_in_the_end(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """An empty stream lives as long as its retention, and its configuration no longer."""
    core = await start_core(server.url).ready()
    await core.core.streams.create(core.stream(), StreamConfig(retention_ms=100, max_length=5))
    await eventually(lambda: _only_the_index_is_left(redis))


async def _only_the_index_is_left(redis: Redis) -> bool:
    return set(await redis.keys()) == {b"llm:streams"}


async def test_what_is_told_of_a_stream(core: RunningCore, server: RedisServer, redis: Redis) -> None:
    """Length, ids, ages, bounds and groups, as Redis has them at this moment."""
    answers = await core.generate(10, complete=True)
    await redis.xtrim(KEY, maxlen=8, approximate=False)
    await core.core.groups.create(core.stream(), "g")
    taken = await core.read("g", "one", count=3)
    await core.acknowledge("g", taken[:1])
    await asyncio.sleep(0.05)
    found = await info(core)
    assert (found.session_id, found.model_id, found.key) == (S, M, KEY)
    assert (found.length, found.complete) == (8, True)
    assert (found.first_entry_id, found.last_entry_id) == (str(answers[2].entry_id), str(answers[9].entry_id))
    assert found.last_generated_id == found.last_entry_id
    counted = server.kind.version >= (7, 0, 0)
    assert (found.entries_added, found.entries_trimmed) == ((10, 2) if counted else (None, None))
    assert (found.max_length, found.retention_ms) == (10_000, 3_600_000)
    assert found.age_seconds is not None
    assert 0.05 <= found.age_seconds < 60
    assert found.ttl_seconds is not None
    assert 3540 < found.ttl_seconds <= 3600
    (group,) = found.groups
    assert (group.group, group.lag, group.pending) == ("g", 5, 2)
    assert group.lag_quality in ("exact", "server")
    assert group.last_delivered_id == str(taken[-1].entry.id)
    assert group.lag_seconds is not None
    assert 0.05 <= group.lag_seconds < 60
    assert group.oldest_pending_seconds is not None
    assert 0.05 <= group.oldest_pending_seconds < 60
    (consumer,) = group.consumers
    assert (consumer.consumer, consumer.pending) == ("one", 2)
    assert 0.05 <= consumer.idle_seconds < 60
    has_inactive = server.kind.version >= (7, 2, 0)
    assert (consumer.inactive_seconds is not None) == has_inactive


@pytest.mark.parametrize("case", ["trimmed past", "read after trim", "deleted ahead", "emptied", "set back"])
async def test_lag_is_right_where_the_server_is_wrong(case: str, core: RunningCore, redis: Redis) -> None:
    """Trims, deletes and moved groups make the server's own lag NULL or too high on most versions; ours is right."""
    answers = await core.generate(8)
    await core.core.groups.create(core.stream(), "g")
    await core.read("g", "c", count=2)
    expected = 0
    match case:
        case "trimmed past":
            await redis.xtrim(KEY, maxlen=3, approximate=False)
            expected = 3
        case "read after trim":
            await redis.xtrim(KEY, maxlen=3, approximate=False)
            await core.read("g", "c", count=100)
        case "deleted ahead":
            await redis.xdel(KEY, str(answers[4].entry_id), str(answers[7].entry_id))
            expected = 4
        case "emptied":
            await redis.xtrim(KEY, maxlen=0, approximate=False)
        case "set back":
            await redis.xgroup_setid(KEY, "g", str(answers[0].entry_id))
            expected = 7
    (group,) = (await info(core)).groups
    assert group.lag == expected
    assert group.lag_quality in ("exact", "server")
    assert (group.lag_seconds == 0) == (expected == 0)


async def test_lag_beyond_the_count_is_a_bound(core: RunningCore, redis: Redis) -> None:
    """Where counting would cost too much, the server's number is told as such, or the least it can be."""
    await core.generate(1500)
    await core.core.groups.create(core.stream(), "g")
    await core.read("g", "c", count=10)
    (group,) = (await info(core)).groups
    if group.lag_quality == "server":
        assert group.lag == 1490
    else:
        assert (group.lag_quality, group.lag) == ("bounded", 1000)
    assert group.lag_upper_bound == 1499


async def test_never_existed_and_gone(core: RunningCore, redis: Redis) -> None:
    """Looking at, trimming or deleting what is not there tells which of the two it is."""
    streams, stream = core.core.streams, core.stream()

    async def asked(kind: type[Exception]) -> None:
        with pytest.raises(kind):
            await streams.info(stream)
        with pytest.raises(kind):
            await streams.trim(stream, max_length=0, older_than_ms=None)
        with pytest.raises(kind):
            await streams.delete(stream)

    await asked(StreamNotFoundError)
    await core.generate(1)
    await eventually(lambda: redis.zscore("llm:streams", KEY))
    await streams.delete(stream)
    await asked(StreamGoneError)


async def test_deleting_takes_groups_and_bounds_along(core: RunningCore, redis: Redis) -> None:
    """Only the index still knows of a deleted stream; written again it has the sidecar's bounds."""
    await core.core.streams.create(core.stream(), StreamConfig(max_length=10, consumer_group="g"))
    await core.generate(3)
    await core.core.streams.delete(core.stream())
    assert set(await redis.keys()) == {b"llm:streams"}
    await core.generate(1)
    found = await info(core)
    assert (found.max_length, found.groups) == (10_000, ())


async def test_a_key_of_another_type_is_left_alone(core: RunningCore, redis: Redis) -> None:
    """No operation on streams touches it."""
    await redis.set(KEY, "mine")
    streams, stream = core.core.streams, core.stream()
    for operation in (
        streams.info(stream),
        streams.trim(stream, max_length=0, older_than_ms=None),
        streams.delete(stream),
        streams.create(stream, None),
    ):
        with pytest.raises(WrongTypeError):
            await operation
    assert await redis.get(KEY) == b"mine"


async def test_trimming_by_length(core: RunningCore, redis: Redis) -> None:
    """Exactly the newest are kept; a bound above the length removes nothing."""
    await core.generate(250)
    trim = core.core.streams.trim
    assert await trim(core.stream(), max_length=300, older_than_ms=None) == 0
    assert await trim(core.stream(), max_length=7, older_than_ms=None) == 243
    entries = await stored(redis)
    assert_gap_free(entries, first=244)
    assert len(entries) == 7
    assert await trim(core.stream(), max_length=0, older_than_ms=None) == 7
    assert (await info(core)).length == 0


async def test_trimming_by_age(core: RunningCore, redis: Redis) -> None:
    """Entries older than the bound go, by Redis's clock."""
    seconds, micros = await redis.time()
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    for age_ms in (90_000, 60_000, 30_000, 0):
        await redis.xadd(KEY, {"data": "{}"}, id=f"{now_ms - age_ms}-1")
    trim = core.core.streams.trim
    assert await trim(core.stream(), max_length=None, older_than_ms=120_000) == 0
    assert await trim(core.stream(), max_length=None, older_than_ms=45_000) == 2
    assert await redis.xlen(KEY) == 2


async def test_trimming_wants_one_bound(core: RunningCore) -> None:
    """Neither and both are refused."""
    await core.generate(1)
    for max_length, older_than_ms in ((None, None), (1, 1)):
        with pytest.raises(InvalidMessageError):
            await core.core.streams.trim(core.stream(), max_length=max_length, older_than_ms=older_than_ms)


async def test_an_empty_stream_never_shows_another_group(core: RunningCore, redis: Redis) -> None:
    """Nobody sees the group that Redis needs for it, whenever they look."""
    seen: set[bytes] = set()
    is_over = False

    async def look() -> None:
        while not is_over:
            with contextlib.suppress(ResponseError):
                seen.update(group["name"] for group in await redis.xinfo_groups(KEY))

    looking = asyncio.create_task(look())
    for _ in range(30):
        assert await core.core.streams.create(core.stream(), None)
        assert not await core.core.streams.create(core.stream(), None)
        await core.core.streams.delete(core.stream())
    is_over = True
    await looking
    assert seen == set()
    assert await core.core.streams.create(core.stream(), None)
    assert await redis.pttl(KEY) > 0
