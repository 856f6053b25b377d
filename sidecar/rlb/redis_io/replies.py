"""Error replies of Redis, told apart by what they say of the command: was it applied, and may it be sent again?"""

from __future__ import annotations

from rlb.errors import (
    ApiError,
    GroupNotFoundError,
    InternalError,
    InvalidIdError,
    RedisOutOfMemoryError,
    RedisReadOnlyError,
    RedisUnavailableError,
    RlbError,
    StreamGoneError,
    UnsupportedByServerError,
    WrongTypeError,
)


class ReplyError(RlbError):
    """An error reply. Its text may quote arguments, so it is matched here and never shown to an app."""

    @property
    def prefix(self) -> str:
        """The first word, by which Redis names the kind: `WRONGTYPE`, `OOM`, `ERR`."""
        return str(self).partition(" ")[0]


class ConnectionLostError(RlbError):
    """The connection broke before the reply came: the command may or may not have been applied."""


Failure = ReplyError | ConnectionLostError
"""What stands in place of a reply's value when a command failed."""

_REFUSED_FOR_NOW = frozenset(
    ("LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "MISCONF", "READONLY", "OOM", "NOSCRIPT")
)
_READ_ONLY = frozenset(("READONLY", "MISCONF", "NOREPLICAS"))
_DENIED = frozenset(("NOPERM", "NOAUTH", "WRONGPASS"))


def failure_name(failure: Failure) -> str:
    """A short name of the kind of failure, without anything that came from an app: `OOM`, `connection_lost`."""
    if isinstance(failure, ConnectionLostError):
        return "connection_lost"
    return "overtaken" if is_overtaken(failure) else failure.prefix


def is_refused_for_now(error: Exception) -> bool:
    """Whether the command was not applied and the same command may be, once Redis has recovered."""
    return isinstance(error, ReplyError) and error.prefix in _REFUSED_FOR_NOW


STREAM_GONE = ReplyError("NOSTREAM the stream is gone")
"""In place of the nil that XADD NOMKSTREAM answers where there is no stream."""


def is_overtaken(error: Exception) -> bool:
    """Whether an XADD was refused because the stream is not where its writer left it: past the id, or gone."""
    return "equal or smaller" in str(error) or error is STREAM_GONE


def is_no_key(error: ReplyError) -> bool:
    """Whether an XINFO or XGROUP found no stream at the key."""
    text = str(error)
    return "no such key" in text or "requires the key to exist" in text


def api_error(error: Failure, what: str) -> ApiError:
    """The answer to the app for a reply that ends its call. `what` names the operation and key, not payload."""
    if isinstance(error, ConnectionLostError):
        return RedisUnavailableError(f"{what}: the connection to Redis broke before its reply came")
    prefix, text = error.prefix, str(error)
    if prefix == "WRONGTYPE":
        return WrongTypeError(f"{what}: the key holds something other than a stream")
    if prefix == "NOGROUP":
        return GroupNotFoundError(f"{what}: no such consumer group")
    if prefix == "UNBLOCKED" or is_no_key(error):
        return StreamGoneError(f"{what}: the stream is gone")
    if prefix == "OOM":
        return RedisOutOfMemoryError(f"{what}: Redis is at maxmemory")
    if prefix in _READ_ONLY:
        return RedisReadOnlyError(f"{what}: Redis answered {prefix}")
    if prefix in _REFUSED_FOR_NOW:
        return RedisUnavailableError(f"{what}: Redis answered {prefix}")
    if prefix in _DENIED:
        return RedisUnavailableError(f"{what}: Redis denies it to this user ({prefix}); check the ACL")
    if "Invalid stream ID" in text or "invalid start ID" in text:  # the latter behind the highest id of all
        return InvalidIdError(f"{what}: not an entry id")
    if "unknown command" in text or "unknown subcommand" in text or "syntax error" in text.lower():
        return UnsupportedByServerError(f"{what}: this Redis version does not have it")
    return InternalError(f"{what}: Redis answered {prefix}")
