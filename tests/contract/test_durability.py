"""Durability: the level that is asked for is reached, or the answer says which one was."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from rlb.bridge import durability
from rlb.domain.draft import Durability
from tests.conftest import OwnServer
from tests.servers.kinds import ServerKind
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S, eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY

LONG_S = 30.0
"""No replica, and no disk, is this late on any machine."""


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits in Redis may last: where a level can be reached it is, and what is cut short was."""
    monkeypatch.setattr(durability, "WAIT_MS", round(LONG_S * 1000))
    monkeypatch.setattr(durability, "FSYNC_WAIT_MS", round(LONG_S * 1000))


async def patient_core(start_core: StartCore, server: RedisServer) -> RunningCore:
    """A core that does not take a server that waits for one that is gone."""
    return await start_core(server.url, redis={"reply_timeout_s": 2 * LONG_S}).ready()


async def reached(core: RunningCore, level: Durability, text: str = "a") -> Durability:
    """The level that one message was answered with."""
    return await core.core.durability.reached(await core.write(text, durability=level))


async def test_written_is_the_primarys_reply(core: RunningCore) -> None:
    """The default level costs nothing beyond the append."""
    assert await reached(core, "written") == "written"


async def test_without_a_replica_nothing_is_replicated(core: RunningCore) -> None:
    """WAIT falls short: the message is there, and the answer says `written`."""
    async with asyncio.timeout(PATIENCE_S):
        assert await reached(core, "replicated") == "written"


async def test_without_an_append_only_file_nothing_is_fsynced(core: RunningCore) -> None:
    """WAITAOF is refused where there is no such file, and unknown below Redis 7.2: the answer says `written`."""
    assert await reached(core, "fsynced") == "written"


async def test_with_an_append_only_file(
    patiently: None, redis_kind: ServerKind, own_server: OwnServer, start_core: StartCore
) -> None:
    """From Redis 7.2 on the message is on the primary's disk; older servers cannot tell, which is `written`."""
    server = own_server(redis_kind, config=("appendonly yes", "appendfsync everysec"))
    core = await patient_core(start_core, server)
    expected = "fsynced" if redis_kind.version >= (7, 2, 0) else "written"
    for number in range(3):
        assert await reached(core, "fsynced", str(number)) == expected


def replica_of(primary: RedisServer, own_server: OwnServer) -> RedisServer:
    return own_server(primary.kind, config=(f"replicaof 127.0.0.1 {primary.port}", "repl-diskless-load swapdb"))


async def is_in_sync(primary: RedisServer) -> bool:
    state: bytes = primary.command("INFO", "replication")
    return b"state=online" in state


async def test_with_a_replica(
    patiently: None,
    redis_kind: ServerKind,
    own_server: OwnServer,
    start_core: StartCore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message that is answered as replicated stands on the replica; with the replica frozen it is only written."""
    primary = own_server(redis_kind, tcp=True, config=("repl-diskless-sync-delay 0",))
    replica = replica_of(primary, own_server)
    core = await patient_core(start_core, primary)
    await eventually(lambda: is_in_sync(primary))
    for number in range(5):
        assert await reached(core, "replicated", str(number)) == "replicated"
        assert replica.command("XLEN", KEY) == number + 1
    replica.pause()
    with monkeypatch.context() as briefly:
        briefly.setattr(durability, "WAIT_MS", 500)
        assert await reached(core, "replicated") == "written"
    replica.resume()
    await eventually(lambda: is_in_sync(primary))
    assert await reached(core, "replicated") == "replicated"


async def test_a_repeat_is_no_more_durable_than_it_is(
    redis_kind: ServerKind, own_server: OwnServer, start_core: StartCore
) -> None:
    """A duplicate on a fresh connection does not get "all replicas" for nothing (it made no write to wait for)."""
    primary = own_server(redis_kind, tcp=True, config=("repl-diskless-sync-delay 0",))
    replica = replica_of(primary, own_server)
    core = await start_core(primary.url).ready()
    await eventually(lambda: is_in_sync(primary))
    await core.write("a", message_id="id-1")
    await core.close()
    replica.pause()
    core = await start_core(primary.url).ready()
    again = await core.write("a", message_id="id-1", durability="replicated")
    assert again.duplicate
    assert await core.core.durability.reached(again) == "written"
    replica.resume()


async def test_one_wait_covers_many_messages(
    patiently: None, redis_kind: ServerKind, own_server: OwnServer, start_core: StartCore
) -> None:
    """Messages that ask at the same time share waits; each is answered truly."""
    primary = own_server(redis_kind, tcp=True, config=("repl-diskless-sync-delay 0",))
    replica_of(primary, own_server)
    core = await patient_core(start_core, primary)
    await eventually(lambda: is_in_sync(primary))
    tickets = await core.generate(200, durability="replicated")
    primary.command("CONFIG", "RESETSTAT")
    levels = await asyncio.gather(*(core.core.durability.reached(ticket) for ticket in tickets))
    assert set(levels) == {"replicated"}
    stats: bytes = primary.command("INFO", "commandstats")
    (wait,) = [line for line in stats.splitlines() if line.startswith(b"cmdstat_wait:")]
    assert int(wait.split(b"calls=")[1].split(b",")[0]) <= 3


def is_waited(server: RedisServer) -> bool:
    """Whether a connection waits for a replica."""
    return b"cmd=wait" in server.command("CLIENT", "LIST")


async def cut_short(server: RedisServer, asking: asyncio.Task[Durability]) -> Durability:
    """The answer when every connection is cut, long before the wait is over."""
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    async with asyncio.timeout(PATIENCE_S):
        return await asking


async def test_a_wait_that_breaks_is_no_durability(
    patiently: None, redis_kind: ServerKind, own_server: OwnServer, start_core: StartCore
) -> None:
    """The connection that waits is cut: the answer is `written`, and comes."""
    primary = own_server(redis_kind, tcp=True, config=("repl-diskless-sync-delay 0",))
    core = await patient_core(start_core, primary)
    ticket = await core.write("a", durability="replicated")
    asking = asyncio.create_task(core.core.durability.reached(ticket))
    await eventually(lambda: is_waited(primary))
    assert await cut_short(primary, asking) == "written"


async def test_the_probe_leaves_nothing(core: RunningCore, redis: Redis) -> None:
    """Waiting writes, so that there is something to wait for, and takes it back."""
    await reached(core, "replicated")
    await eventually(lambda: _keys_are(redis, {KEY.encode(), b"llm:streams"}))


async def _keys_are(redis: Redis, expected: set[bytes]) -> bool:
    return set(await redis.keys()) == expected


@pytest.mark.parametrize("level", ["replicated", "fsynced"])
async def test_stronger_messages_do_not_hold_the_others_back(
    level: Durability, patiently: None, server: RedisServer, start_core: StartCore
) -> None:
    """While one message waits for what cannot be had, the tokens behind it are written."""
    core = await patient_core(start_core, server)
    ticket = await core.write("a", durability=level)
    asking = asyncio.create_task(core.core.durability.reached(ticket))
    await asyncio.sleep(0)
    await core.generate(100)
    if level == "replicated":  # a wait for the disk is refused at once where there is no append-only file
        assert not asking.done()
    assert await cut_short(server, asking) == "written"
