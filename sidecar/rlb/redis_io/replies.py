"""Error replies of Redis, told apart by what they say of the command: was it applied, and may it be sent again?"""

from __future__ import annotations

import re

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

_DENIED_COMMAND = re.compile(r"permissions to run the '([a-z_.|-]{1,64})' command")
_DENIED_IN_SCRIPT = ("ACL failure in script", "The user executing the script can't")


class ReplyError(RlbError):
    """An error reply. Its text may quote arguments, so it is matched here and never shown to an app."""

    @property
    def prefix(self) -> str:
        """The first word, by which Redis names the kind: `WRONGTYPE`, `OOM`, `ERR`.

        What is denied to a script is NOPERM too, though Redis calls it an `ERR` or gives it no kind.
        """
        text = str(self)
        return "NOPERM" if any(words in text for words in _DENIED_IN_SCRIPT) else text.partition(" ")[0]

    @property
    def is_denial(self) -> bool:
        """Whether the ACL is why."""
        return self.prefix == "NOPERM"

    @property
    def summary(self) -> str:
        """Its kind, and of a denial what was denied: `NOPERM (xadd)`, `NOPERM (a key)`; nothing from an app."""
        if not self.is_denial:
            return self.prefix
        text = str(self)
        if (command := _DENIED_COMMAND.search(text)) is not None:
            return f"NOPERM ({command[1]})"
        if "access" in text and "key" in text:
            return "NOPERM (a key)"
        # Before 7.2 Redis does not say which.
        return "NOPERM (a command of a script)" if "script" in text else "NOPERM"


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
        return RedisUnavailableError(f"{what}: Redis denies this user what it takes: {error.summary}; see `rlb acl`")
    if "Invalid stream ID" in text or "invalid start ID" in text:  # the latter behind the highest id of all
        return InvalidIdError(f"{what}: not an entry id")
    if "unknown command" in text or "unknown subcommand" in text or "syntax error" in text.lower():
        return UnsupportedByServerError(f"{what}: this Redis version does not have it")
    return InternalError(f"{what}: Redis answered {prefix}")
