"""The proxy itself: each fault does to a real connection what it says, once, and can be lifted."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.conftest import MakeFaultProxy
from tests.servers.process import RedisServer
from tests.servers.proxy import CHUNK_BYTES, FaultProxy

BROKEN = (RedisConnectionError, ConnectionError)
SET_KEY = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"


@pytest.fixture(params=["unix", "tcp"])
async def proxy(request: pytest.FixtureRequest, valkey: RedisServer, fault_proxy: MakeFaultProxy) -> FaultProxy:
    return await fault_proxy(valkey, tcp=request.param == "tcp")


@pytest.fixture
async def through(proxy: FaultProxy) -> AsyncIterator[Redis]:
    """A client on the far side of the proxy, on one connection, without retries."""
    async with Redis.from_url(
        proxy.url, retry=Retry(NoBackoff(), 0), protocol=2, single_connection_client=True
    ) as client:
        await client.ping()
        yield client


async def open_raw(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if proxy.listen_path is not None:
        return await asyncio.open_unix_connection(proxy.listen_path)
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """What arrives until the connection ends, in order or by a reset."""
    received = b""
    try:
        while data := await reader.read(1024):
            received += data
    except ConnectionError:
        pass
    return received


async def test_it_forwards_both_ways(through: Redis, redis: Redis) -> None:
    """Without a fault, a client gets what it would get from the server."""
    large = b"x" * (3 * CHUNK_BYTES)
    await through.set("key", large)
    assert await redis.get("key") == large
    assert await through.get("key") == large


async def ask(proxy: FaultProxy, request: bytes) -> bytes:
    """The first line of the answer, on a new connection."""
    reader, writer = await open_raw(proxy)
    writer.write(request)
    answer = await reader.readline()
    writer.close()
    return answer


async def test_reset_peer_cuts_every_connection(proxy: FaultProxy) -> None:
    """All connections end at once, and a new one works."""
    opened = [await open_raw(proxy) for _ in range(2)]
    for reader, writer in opened:
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
    assert proxy.reset_peer() == 2
    assert proxy.connection_count == 0
    for reader, writer in opened:
        assert await read_to_end(reader) == b""
        writer.close()
    assert await ask(proxy, b"PING\r\n") == b"+PONG\r\n"
    assert proxy.cut_count == 2


@pytest.mark.parametrize(("passed", "landed"), [(len(SET_KEY) - 1, None), (len(SET_KEY), b"value")])
async def test_limit_data_cuts_after_exactly_that_many_bytes(
    proxy: FaultProxy, redis: Redis, passed: int, landed: bytes | None
) -> None:
    """One byte short and the server does nothing; with the last byte it carries the command out."""
    reader, writer = await open_raw(proxy)
    struck = proxy.limit_data(passed)
    writer.write(SET_KEY)
    await read_to_end(reader)
    assert struck.is_set()
    await redis.ping()
    assert await redis.get("key") == landed
    writer.close()


async def test_limit_data_counts_over_several_pieces(proxy: FaultProxy, redis: Redis) -> None:
    """The limit holds for a connection's requests together, not for each one."""
    reader, writer = await open_raw(proxy)
    struck = proxy.limit_data(len(b"PING\r\n") + len(SET_KEY))
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    assert not struck.is_set()
    writer.write(SET_KEY + SET_KEY)
    await read_to_end(reader)
    assert await redis.get("key") == b"value"
    writer.close()


async def test_timeout_replies_loses_the_answer_to_a_command_that_landed(
    proxy: FaultProxy, through: Redis, redis: Redis
) -> None:
    """The ambiguous case: the client sees a broken connection, the server has done it; the next command works."""
    struck = proxy.timeout_replies()
    with pytest.raises(BROKEN):
        await through.incr("counter")
    assert struck.is_set()
    assert await redis.get("counter") == b"1"
    assert await through.incr("counter") == 2


async def test_a_fault_strikes_only_the_connection_that_carries_its_word(proxy: FaultProxy, through: Redis) -> None:
    """`carrying` spares the connections that send something else."""
    reader, writer = await open_raw(proxy)
    struck = proxy.timeout_replies(carrying=b"XADD")
    await through.incr("counter")
    assert not struck.is_set()
    writer.write(b"XADD stream * field value\r\n")
    assert await read_to_end(reader) == b""
    assert struck.is_set()
    assert await through.xlen("stream") == 1
    writer.close()


async def test_a_fault_outlives_a_connection_that_ends_by_itself(proxy: FaultProxy, through: Redis) -> None:
    """A connection that closes before its fault strikes leaves it to the next one."""
    _, writer = await open_raw(proxy)
    struck = proxy.limit_data(len(SET_KEY) * 2)
    writer.write(SET_KEY)
    while not await through.exists("key"):
        await asyncio.sleep(0.005)
    writer.close()
    while proxy.connection_count > 1:
        await asyncio.sleep(0.005)
    with pytest.raises(BROKEN):
        await through.set("key", b"x" * 1000)
    assert struck.is_set()


async def test_freeze_holds_everything_until_thaw(proxy: FaultProxy, through: Redis, redis: Redis) -> None:
    """While frozen nothing arrives and nothing is lost; thawed, the request is carried out and answered."""
    proxy.freeze()
    waiting = asyncio.create_task(through.incr("counter"))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    assert await redis.get("counter") is None
    proxy.thaw()
    assert await waiting == 1


async def test_held_replies_come_with_the_thaw(proxy: FaultProxy, through: Redis, redis: Redis) -> None:
    """Requests are carried out, other connections are answered, and what was held back is not lost to a later fault."""
    reader, writer = await open_raw(proxy)
    holding = proxy.hold_replies(carrying=b"first")
    writer.write(b"INCR first\r\n")
    await holding.wait()
    struck = proxy.timeout_replies(carrying=b"second")
    writer.write(b"INCR second\r\n")
    while not await redis.exists("second"):
        await asyncio.sleep(0.005)
    assert await through.get("first") == b"1"
    assert not struck.is_set()
    proxy.thaw()
    assert await read_to_end(reader) == b":1\r\n"
    assert struck.is_set()
    writer.close()


async def test_slicer_delivers_in_small_pieces(proxy: FaultProxy) -> None:
    """A reply comes in pieces no larger than asked for, and whole in the end."""
    reader, writer = await open_raw(proxy)
    proxy.slicer(3, delay_s=0.01)
    writer.write(b"PING\r\n")
    pieces = [await reader.read(1024), await reader.read(1024), await reader.read(1024)]
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert b"".join(pieces) == b"+PONG\r\n"
    writer.close()


async def test_latency_delays_each_direction(proxy: FaultProxy, through: Redis) -> None:
    """A round trip takes at least twice the latency, and is quick again once it is lifted."""
    proxy.latency(0.15)
    assert await round_trip_s(through) >= 0.3
    proxy.latency(0)
    # None that is delayed is that quick; any one may be slow for other reasons.
    assert min([await round_trip_s(through) for _ in range(20)]) < 0.15


async def round_trip_s(through: Redis) -> float:
    began_s = time.monotonic()
    await through.ping()
    return time.monotonic() - began_s


async def test_down_refuses_and_up_welcomes(proxy: FaultProxy) -> None:
    """Down, connections are cut and refused; up again, the same address works."""
    reader, writer = await open_raw(proxy)
    await proxy.down()
    assert await read_to_end(reader) == b""
    writer.close()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await open_raw(proxy)
    await proxy.up()
    assert await ask(proxy, b"PING\r\n") == b"+PONG\r\n"
