"""What the users may not do, and what rlb says where a user lacks something."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Any, Self

import hiredis
import pytest

from rlb import Bridge
from rlb.domain.server_version import ServerVersion
from rlb.errors import ApiError, RedisUnavailableError
from rlb.redis_io.acl_user import ROLES, Role, digest_of, user_line
from rlb.redis_io.identity import ask_version
from rlb.redis_io.replies import ReplyError
from rlb.service import Service
from rlb.settings import GroupsSettings, Settings
from tests.conftest import OwnServer
from tests.redis_io.acl_servers import make_user, version_of
from tests.servers.process import RedisServer
from tests.support.acl_workload import FOREIGN, OWN, PASSWORD, USER, prepare, settings_of
from tests.support.assertions import eventually

WRITE = "return redis.call('SET', KEYS[1], 'x')"
ESCAPE = "return redis.call('SET', 'elsewhere', 'x')"

NOBODYS = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "maxmemory", "0"),
    ("ACL", "LIST"),
    ("ACL", "WHOAMI"),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("MONITOR",),
    ("DEBUG", "SLEEP", "0"),
    ("SHUTDOWN", "NOSAVE"),
    ("SCRIPT", "FLUSH"),
    ("SLOWLOG", "GET"),
    ("REPLICAOF", "NO", "ONE"),
    ("SUBSCRIBE", "news"),
    ("PUBLISH", "news", "x"),
    ("SELECT", "1"),
    ("GET", "elsewhere"),
    ("SET", "elsewhere", "x"),
    ("DEL", "elsewhere"),
    ("XADD", "elsewhere", "*", "a", "b"),
    ("XGROUP", "SETID", OWN, "billing", "0"),
    ("XSETID", OWN, "9-9"),
    ("XAUTOCLAIM", OWN, "billing", "me", "0", "0"),
    ("RENAME", OWN, "elsewhere"),
    ("COPY", OWN, "elsewhere"),
    ("EVAL", WRITE, "1", "elsewhere"),
    ("EVAL", ESCAPE, "1", OWN),
    ("EVAL", "return redis.call('FLUSHALL')", "0"),
]
"""What no role may do, on any server."""

READERS = [
    ("XADD", OWN, "*", "a", "b"),
    ("XADD", FOREIGN, "*", "a", "b"),
    ("XDEL", FOREIGN, "1-1"),
    ("XTRIM", FOREIGN, "MAXLEN", "0"),
    ("XACK", FOREIGN, "billing", "1-1"),
    ("XREADGROUP", "GROUP", "billing", "me", "STREAMS", FOREIGN, ">"),
    ("XCLAIM", FOREIGN, "billing", "me", "0", "1-1"),
    ("XGROUP", "CREATE", FOREIGN, "mine", "0"),
    ("XGROUP", "DESTROY", FOREIGN, "billing"),
    ("XGROUP", "DELCONSUMER", FOREIGN, "billing", "till-1"),
    ("ZADD", "llm:streams", "1", "x"),
    ("ZREMRANGEBYSCORE", "llm:streams", "0", "1"),
    ("HSET", "llm:stream-config:{x}", "a", "b"),
    ("XREAD", "STREAMS", OWN, "0"),
]
"""What observers and rlb-top may not do, on any server."""

APART: dict[Role, list[tuple[str, ...]]] = {
    "sidecar": [
        ("XADD", FOREIGN, "*", "a", "b"),
        ("XREADGROUP", "GROUP", "billing", "me", "STREAMS", FOREIGN, ">"),
        ("DEL", FOREIGN),
        ("EVAL", WRITE, "1", FOREIGN),
        ("SET", OWN, "x"),
        ("DEL", "llm:streams"),
        ("DEL", "llm:dlq:billing"),
        ("XTRIM", "llm:dlq:billing", "MAXLEN", "0"),
        ("XADD", "llm:observer", "*", "a", "b"),
    ],
    "observer": [("DEL", FOREIGN), ("SET", FOREIGN, "x"), ("EVAL", WRITE, "1", FOREIGN), ("DEL", OWN)],
    "top": [("DEL", FOREIGN), ("DEL", OWN), ("EVAL_RO", WRITE, "1", OWN), ("EVAL", "return 1", "0")],
}
"""What selectors and read-only patterns deny as well, from Redis 7.0 on."""


def quiet_settings(server: RedisServer, role: Role) -> Settings:
    """Without clean-up and probe: an observer that only reads."""
    del role
    return settings_of(server.url, monitor={"scope": "all", "patterns": ["llm:stream:{session}:{model}", "orders:*"]})


class SignedIn:
    """A connection of a user."""

    def __init__(self, server: RedisServer, user: str, password: str) -> None:
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        self._socket.connect(str(server.socket_path))
        self.greeting = self.send("AUTH", user, password)

    def send(self, *words: str) -> Any:
        """The reply, an error as a value."""
        self._socket.sendall(hiredis.pack_command(words))
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(65536)
            assert received, f"the server hung up on {words}"
            self._reader.feed(received)
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@pytest.mark.parametrize("role", ROLES)
def test_what_a_user_may_not_do(server: RedisServer, role: Role) -> None:
    """Every one of these is denied, and not merely fails."""
    prepare(server)
    make_user(server, role, quiet_settings(server, role))
    forbidden = [*NOBODYS, *(READERS if role != "sidecar" else [])]
    if server.kind.version >= (7, 0):
        forbidden += APART[role]
    with SignedIn(server, USER, PASSWORD) as user:
        told = {" ".join(words): user.send(*words) for words in forbidden}
    allowed = {
        words: reply
        for words, reply in told.items()
        if not isinstance(reply, hiredis.ReplyError) or not ReplyError(str(reply)).is_denial
    }
    assert allowed == {}
    assert server.command("EXISTS", OWN, FOREIGN) == 2
    server.command("ACL", "DELUSER", USER)


def test_a_user_without_a_password_is_never_made(server: RedisServer) -> None:
    """The line with the placeholder is refused as a whole."""
    line = user_line("sidecar", quiet_settings(server, "sidecar"), version_of(server.kind), user="careless")
    with pytest.raises(hiredis.ReplyError, match="SHA256-OF-THE-PASSWORD"):
        server.command(*line.split())
    # 6.2 keeps what came before the mistake: a user that is on, with no way to sign in.
    with SignedIn(server, "careless", "SHA256-OF-THE-PASSWORD") as nobody:
        assert str(nobody.greeting).startswith("WRONGPASS")
    server.command("ACL", "DELUSER", "careless")


@pytest.mark.parametrize("role", ROLES)
def test_the_line_is_for_files_too(redis_kind: Any, own_server: OwnServer, role: Role, short_tmp: Path) -> None:
    """In an ACL file and in redis.conf it makes the same user as the command does."""
    version = version_of(redis_kind)
    settings = quiet_settings_of_nowhere()
    line = user_line(role, settings, version, user=USER, password=digest_of(PASSWORD), written_as="aclfile")
    file = short_tmp / "users.acl"
    file.write_text(f"user default on nopass ~* &* +@all\n{line}\n")
    in_conf, in_file = own_server(redis_kind, config=(line,)), own_server(redis_kind, config=(f"aclfile {file}",))
    by_command = own_server(redis_kind)
    make_user(by_command, role, settings)
    users = [_known_as(server) for server in (in_conf, in_file, by_command)]
    assert users[0] == users[1] == users[2]
    with SignedIn(in_file, USER, PASSWORD) as user:
        assert user.send("PING") == "PONG"


def _known_as(server: RedisServer) -> list[set[str]]:
    """The user as the server describes it, its own rules and those of each selector; words come in any order."""
    (line,) = [line for line in server.command("ACL", "LIST") if line.startswith(f"user {USER} ".encode())]
    # Whether RESTORE is to check what it is given: the user may not send it.
    return [set(part.split()) - {"sanitize-payload"} for part in re.split("[()]", line.decode())]


def quiet_settings_of_nowhere() -> Settings:
    return settings_of("redis://nowhere", monitor={"scope": "all", "patterns": ["orders:*"]})


def test_another_database_takes_leave_to_select_it(valkey: RedisServer) -> None:
    settings = settings_of(f"{valkey.url}?db=1")
    make_user(valkey, "top", settings_of(valkey.url))
    with pytest.raises(ApiError):
        asyncio.run(ask_version(settings.redis.model_copy(update={"connect_timeout_s": 0.2, "reply_timeout_s": 0.2})))
    make_user(valkey, "top", settings)
    assert asyncio.run(ask_version(settings.redis)) == ServerVersion("valkey", (9, 1, 2))
    valkey.command("ACL", "DELUSER", USER)


async def test_the_app_is_told_what_the_user_lacks(server: RedisServer, short_tmp: Path) -> None:
    """By the command's name where Redis tells it: it does not before 7.2 if a script sent it."""
    settings = settings_of(server.url, short_tmp / "s", {"scope": "own", "interval_seconds": 0.1})
    # What was delivered is not claimed meanwhile: a read that finds that needs no leave for new entries.
    settings = settings.model_copy(update={"groups": GroupsSettings()})
    make_user(server, "sidecar", settings)
    async with Service(settings), Bridge(short_tmp / "s") as bridge:
        await bridge.wait_until_ready(redis=True)
        await bridge.produce_token("s", "m", "x")
        await bridge.create_group("s", "m", "g")
        delivery = (await bridge.read_messages("s", "m", "g", "c"))[0]
        server.command("ACL", "SETUSER", USER, "-xack", "-xreadgroup", "-xtrim")
        with pytest.raises(RedisUnavailableError, match=r"NOPERM \(xack\); see `rlb acl`"):
            await bridge.acknowledge("s", "m", "g", [delivery.entry_id])
        with pytest.raises(RedisUnavailableError, match=r"NOPERM \(xreadgroup\); see `rlb acl`"):
            await bridge.read_messages("s", "m", "g", "c")
        within = r"NOPERM \(xtrim\)" if server.kind.version >= (7, 2) else r"NOPERM \(a command of a script\)"
        with pytest.raises(RedisUnavailableError, match=within):
            await bridge.produce_token("another", "m", "x")
        server.command("ACL", "SETUSER", USER, "-xinfo")

        async def is_told() -> bool:
            health = await bridge.health()
            return any("lacks NOPERM (xinfo" in (part.reason or "") for part in health.components)

        await eventually(is_told)
        make_user(server, "sidecar", settings)
        # On the connections that there are.
        assert await bridge.acknowledge("s", "m", "g", [delivery.entry_id]) == 1
    server.command("ACL", "DELUSER", USER)
