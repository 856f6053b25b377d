"""Users on real servers, made by the very line that `rlb acl` prints."""

from __future__ import annotations

from rlb.domain.server_version import ServerVersion
from rlb.redis_io.acl_user import Role, user_line
from rlb.settings import Settings
from tests.servers.kinds import ServerKind
from tests.servers.process import RedisServer
from tests.support.acl_workload import PASSWORD, USER


def version_of(kind: ServerKind) -> ServerVersion:
    """What the server says of itself."""
    return ServerVersion("valkey" if kind.name.startswith("valkey") else "redis", kind.version)


def make_user(server: RedisServer, role: Role, settings: Settings) -> None:
    """Have the server know the user."""
    line = user_line(role, settings, version_of(server.kind), user=USER, password=f">{PASSWORD}")
    assert server.command(*line.split()) == b"OK"
