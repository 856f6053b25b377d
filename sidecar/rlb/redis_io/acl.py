"""What rlb sends to Redis, as data: `acl_user` makes users of it, and tests hold it against what servers count.

`GRANTS` has a row for each command on each kind of key, with the feature that needs it, and the servers that have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Feature = Literal[
    "connect",
    "write",
    "tail",
    "groups",
    "dead letters",
    "durability",
    "manage",
    "monitor",
    "clean-up",
    "lease",
    "observed",
    "probe",
]
FEATURES: tuple[Feature, ...] = get_args(Feature)

KeyClass = Literal["none", "streams", "bounds", "watched", "index", "dead letters", "lease", "probe", "durability"]

OLDEST = (6, 2)
"""The oldest server with all that rlb cannot do without (XADD NOMKSTREAM)."""

SELECTORS = (7, 0)
"""The server that knows selectors, key permissions and EVAL_RO."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A command, or one subcommand (`xinfo|stream`), that a feature sends for one kind of key."""

    command: str
    on: KeyClass
    feature: Feature
    why: str
    writes: bool = False
    since: tuple[int, ...] = OLDEST
    until: tuple[int, ...] | None = None
    """The first server that does not need it."""

    def is_for(self, version: tuple[int, ...]) -> bool:
        """Whether this server has the command and rlb sends it there."""
        return self.since <= version and (self.until is None or version < self.until)


def _both(
    command: str,
    feature: Feature,
    why: str,
    *,
    writes: bool = False,
    since: tuple[int, ...] = OLDEST,
    until: tuple[int, ...] | None = None,
) -> tuple[Grant, Grant]:
    """The same on rlb's own streams and on those of others that are watched."""
    return (
        Grant(command, "streams", feature, why, writes, since, until),
        Grant(command, "watched", feature, why, writes, since, until),
    )


GRANTS: tuple[Grant, ...] = (
    Grant("ping", "none", "connect", "a sign of life on idle connections"),
    Grant("client|setname", "none", "connect", "connections have names in CLIENT LIST"),
    # 7.0 and 7.1 do not know it and refuse a user with it; 6.2 takes any subcommand, and would log a denial at each
    # connect without it.
    Grant("client|setinfo", "none", "connect", "the library's name in CLIENT LIST", until=(7, 0)),
    Grant("client|setinfo", "none", "connect", "the library's name in CLIENT LIST", since=(7, 2)),
    Grant("evalsha", "streams", "write", "the first message of a writer: the claim", writes=True),
    Grant("eval", "streams", "write", "the claim, where Redis does not have its text yet", writes=True),
    Grant("xinfo|stream", "streams", "write", "in the claim: where the stream stands"),
    Grant("xrevrange", "streams", "write", "in the claim: whether the message is there already"),
    Grant("xadd", "streams", "write", "every further message", writes=True),
    Grant("xtrim", "streams", "write", "in the claim: entries older than the retention", writes=True),
    Grant("pexpire", "streams", "write", "in the claim: the stream's expiry", writes=True),
    Grant("time", "none", "write", "in the claim: the clock that entry ids go by"),
    Grant("xrange", "streams", "write", "what a lost connection left behind"),
    Grant("hmget", "bounds", "write", "in the claim: the stream's own bounds"),
    Grant("pexpire", "bounds", "write", "in the claim: they live as long as the stream", writes=True),
    Grant("zadd", "index", "write", "notes that the stream is active", writes=True),
    Grant("xread", "streams", "tail", "what is new, for all readers at once"),
    Grant("client|id", "none", "tail", "the name of that reading connection"),
    Grant("client|unblock", "none", "tail", "ends a blocked read when the streams to read change"),
    Grant("xrange", "streams", "tail", "what was before"),
    Grant("xrevrange", "streams", "tail", "whether the reader has seen the end"),
    Grant("xinfo|stream", "streams", "tail", "whether the stream is still there"),
    Grant("type", "streams", "tail", "which key is no stream, when a read is refused"),
    Grant("zscore", "index", "tail", "whether a missing stream has ever been"),
    Grant("eval", "streams", "groups", "makes a group with its position and lag in one step", writes=True),
    Grant("xgroup|create", "streams", "groups", "in that script", writes=True),
    Grant("pexpire", "streams", "groups", "in that script: a stream that nobody writes goes again", writes=True),
    Grant("xreadgroup", "streams", "groups", "reads as a consumer", writes=True),
    Grant("xack", "streams", "groups", "acknowledges", writes=True),
    Grant("xpending", "streams", "groups", "what may be claimed, and how often it was delivered"),
    Grant("xclaim", "streams", "groups", "delivers again what was not acknowledged", writes=True),
    Grant("xinfo|groups", "streams", "groups", "groups and their lag"),
    Grant("xinfo|consumers", "streams", "groups", "consumers of a group"),
    Grant("time", "none", "groups", "from when on streams are new to a subscription"),
    Grant("zrangebyscore", "index", "groups", "streams with news, for subscriptions to a whole model"),
    Grant("zremrangebyscore", "index", "groups", "forgets streams that are long gone", writes=True),
    Grant("scan", "none", "groups", "streams that are missing in the index"),
    Grant("xadd", "dead letters", "dead letters", "sets an entry aside", writes=True),
    Grant("xrange", "dead letters", "dead letters", "lists them"),
    Grant("xdel", "dead letters", "dead letters", "removes those that were replayed or dropped", writes=True),
    Grant("set", "durability", "durability", "a write of this connection, for WAIT to wait for", writes=True),
    Grant("del", "durability", "durability", "and away again", writes=True),
    Grant("wait", "none", "durability", "durability `replicated`"),
    Grant("waitaof", "none", "durability", "durability `fsynced`", since=(7, 2)),
    Grant("exists", "streams", "manage", "whether there is a stream to trim"),
    Grant("pttl", "streams", "manage", "when it expires"),
    Grant("xgroup|destroy", "streams", "manage", "in the script that makes an empty stream, by a group", writes=True),
    Grant("xtrim", "streams", "manage", "`rlb trim`", writes=True),
    Grant("eval", "streams", "manage", "deletes a stream with its bounds; removes a consumer if it may", writes=True),
    Grant("type", "streams", "manage", "in that script: nothing but a stream is deleted"),
    Grant("del", "streams", "manage", "in that script: `rlb delete`", writes=True),
    Grant("xgroup|delconsumer", "streams", "manage", "removes a consumer without pending entries", writes=True),
    Grant("hset", "bounds", "manage", "a stream's own bounds", writes=True),
    Grant("pexpire", "bounds", "manage", "they live as long as the stream", writes=True),
    Grant("del", "bounds", "manage", "with their stream", writes=True),
    Grant("zrange", "index", "manage", "lists streams"),
    Grant("scan", "none", "manage", "streams that are missing in the index"),
    Grant("info", "none", "monitor", "which server and version it is"),
    Grant("time", "none", "monitor", "the clock that ages go by"),
    Grant("scan", "none", "monitor", "finds streams, whoever writes them"),
    Grant("zrangebyscore", "index", "monitor", "streams with news"),
    Grant("hmget", "bounds", "monitor", "a stream's own bounds, for its headroom"),
    *_both("xinfo|stream", "monitor", "each poll of a stream"),
    *_both("xinfo|groups", "monitor", "each poll of a stream"),
    *_both("xinfo|consumers", "monitor", "consumers and how long they are idle"),
    *_both("pttl", "monitor", "when it expires"),
    *_both("xpending", "monitor", "the oldest pending entries"),
    *_both("xrange", "monitor", "the age of the oldest unread entry"),
    *_both("memory|usage", "monitor", "memory of some streams"),
    *_both("eval_ro", "monitor", "counts where the server's lag is missing or wrong", since=SELECTORS),
    # There is no other way to count on 6.2 than to allow EVAL, which there cannot write more than its user may.
    *_both("eval", "monitor", "counts where the server's lag is missing or wrong", until=SELECTORS),
    *_both("eval", "clean-up", "looks and removes in one step", writes=True),
    *_both("xinfo|consumers", "clean-up", "in that script"),
    *_both("xpending", "clean-up", "in that script"),
    *_both("xgroup|delconsumer", "clean-up", "in that script", writes=True),
    Grant("eval", "lease", "lease", "takes, renews or gives up the lease in one step", writes=True),
    Grant("get", "lease", "lease", "in that script"),
    Grant("set", "lease", "lease", "in that script", writes=True),
    Grant("pttl", "lease", "lease", "in that script"),
    Grant("pexpire", "lease", "lease", "in that script: a lease without an end gets one", writes=True),
    Grant("del", "lease", "lease", "in that script", writes=True),
    Grant("get", "lease", "observed", "each poll: whether an observer polls the same"),
    Grant("xgroup|create", "probe", "probe", "the probe's own stream", writes=True),
    Grant("pexpire", "probe", "probe", "it does not outlive its process", writes=True),
    Grant("xadd", "probe", "probe", "writes", writes=True),
    Grant("xreadgroup", "probe", "probe", "reads it back", writes=True),
    Grant("xack", "probe", "probe", "acknowledges it", writes=True),
    Grant("del", "probe", "probe", "begins anew after a failure, and tidies up", writes=True),
)
