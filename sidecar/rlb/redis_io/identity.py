"""Asking a server which it is, on a connection of its own."""

from __future__ import annotations

from rlb.domain.server_version import ServerVersion, parse_server_version
from rlb.errors import UnsupportedByServerError
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.topology import Standalone
from rlb.settings import RedisSettings


async def ask_version(settings: RedisSettings) -> ServerVersion:
    """The product and version of the server.

    Raises:
        ApiError: it cannot be reached, denies INFO to this user, or names no version.
    """
    topology = Standalone(settings, settings.connect_timeout_s)
    topology.main.start()
    try:
        reply = await topology.main.call(b"INFO", b"server", what="ask for the version")
    except ReplyError as error:
        raise api_error(error, "ask for the version") from None
    finally:
        await topology.main.close()
    found = parse_server_version(reply.decode("utf-8", "replace")) if isinstance(reply, bytes) else None
    if found is None:
        raise UnsupportedByServerError("the server names no version")
    return found
