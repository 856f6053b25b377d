"""The least-privilege Redis user of a role: which rows of `acl.GRANTS` it gets, and how ACL SETUSER writes them.

Since Redis 7.0 commands are kept to the kind of key that they are needed for (selectors), and what is only read is
allowed to be read alone. Redis 6.2 knows one list of keys and one of commands, all of which are allowed on all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from redis.asyncio.connection import parse_url

from rlb.domain.key_pattern import parse_pattern
from rlb.domain.keys import Keys
from rlb.domain.server_version import ServerVersion
from rlb.redis_io.acl import GRANTS, SELECTORS, Feature, Grant, KeyClass
from rlb.settings import Settings

Role = Literal["sidecar", "observer", "top"]
ROLES: tuple[Role, ...] = get_args(Role)

Format = Literal["setuser", "aclfile"]
FORMATS: tuple[Format, ...] = get_args(Format)

NO_PASSWORD = "#SHA256-OF-THE-PASSWORD"  # noqa: S105 - no password, and refused by Redis as one
"""Stands where the password's digest belongs; a user with it is refused, never made without a password."""

ANY_STREAM = "*"
"""What rlb-top looks at where no patterns are set."""

_ROOT: frozenset[KeyClass] = frozenset(("none", "streams", "bounds"))
"""What stands outside of selectors: the claim names a stream and its bounds in one command.

Streams of others are not among it: to Redis, XREADGROUP only reads, so a read-only pattern would not keep it away.
"""

_PIECE = re.compile(r"\\.|\[[^\]]*\]|.", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9:_.,@=+~/{}*?!^\[\]-]+", re.ASCII)


def features_of(role: Role, settings: Settings) -> frozenset[Feature]:
    """What this role does with these settings."""
    monitor = settings.monitor
    if role == "top":
        return frozenset(("connect", "monitor"))
    # Also with the scope `off`: a look at one stream asks what a poll asks.
    used: set[Feature] = {"connect", "monitor"}
    if role == "sidecar":
        used |= {"write", "tail", "groups", "dead letters", "durability", "manage"}
    scope = "all" if role == "observer" else monitor.scope
    if monitor.remove_consumers_after_seconds and scope != "off":
        used.add("clean-up")
    if scope == "all":
        used.add("lease")
    elif scope == "own":
        used.add("observed")
    if monitor.probe_seconds:
        used.add("probe")
    return frozenset(used)


def grants_of(role: Role, settings: Settings, version: ServerVersion) -> list[Grant]:
    """The rows that a user of this role needs on this server."""
    features, patterns = features_of(role, settings), patterns_of(role, settings)
    return [
        grant
        for grant in GRANTS
        if grant.feature in features and grant.is_for(version.numbers) and (grant.on == "none" or patterns[grant.on])
    ]


def rules(role: Role, settings: Settings, version: ServerVersion) -> list[str]:
    """The user's keys, commands and selectors, each as a word or a group of words of ACL SETUSER."""
    grants, patterns = grants_of(role, settings, version), patterns_of(role, settings)
    is_apart = version.numbers >= SELECTORS
    root = [grant for grant in grants if not is_apart or grant.on in _ROOT]
    made = [*_keys(root, patterns, is_apart=is_apart), *_commands(root)]
    if parse_url(settings.redis.url or "redis://").get("db"):
        made.append("+select")
    for key_class in dict.fromkeys(grant.on for grant in grants if is_apart and grant.on not in _ROOT):
        there = [grant for grant in grants if grant.on == key_class]
        made.append(f"({' '.join([*_keys(there, patterns, is_apart=True), *_commands(there)])})")
    return made


def user_line(
    role: Role,
    settings: Settings,
    version: ServerVersion,
    *,
    user: str,
    password: str = NO_PASSWORD,
    written_as: Format = "setuser",
) -> str:
    """The user as one line: a command for redis-cli, or a line of an ACL file or of redis.conf."""
    # `reset` takes away what an older user of that name had. In a file there is none, and channels need taking away.
    head = f"ACL SETUSER {user} reset on" if written_as == "setuser" else f"user {user} on"
    return " ".join([head, password, "resetchannels", "-@all", *rules(role, settings, version)])


def digest_of(password: str) -> str:
    """What stands for a password in a rule, so that the line can be shown to others than its owner."""
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def patterns_of(role: Role, settings: Settings) -> dict[KeyClass, tuple[str, ...]]:
    """Where each kind of key is; nowhere for kinds that this role has none of."""
    keys = Keys(settings.stream.prefix)
    own = f"{keys.prefix}:*"
    watches = role != "sidecar" or settings.monitor.scope == "all"
    watched = tuple(parse_pattern(text).glob for text in settings.monitor.patterns) if watches else ()
    if role == "top" and not watched:
        watched = (ANY_STREAM,)
    return {
        "streams": (own,),
        "bounds": (f"{keys.prefix}-config:*",),
        "watched": tuple(plain_glob(pattern) for pattern in watched if pattern != own),
        "index": (keys.index,),
        "dead letters": (keys.dead_letters("*"),),
        "lease": (keys.observer,),
        "probe": (keys.probe("*"),),
        "durability": (f"{keys.prefix}-probe:*",),
    }


def plain_glob(pattern: str) -> str:
    """The pattern with `?` for what quoting would be needed for: a little wider, and the same wherever it is pasted."""
    plain = []
    for piece in _PIECE.findall(pattern):
        is_plain = _PLAIN.fullmatch(piece) is not None
        plain.append(piece if is_plain else "?" if len(piece) > 1 else "?" * len(piece.encode()))
    return "".join(plain)


def _keys(grants: Sequence[Grant], patterns: dict[KeyClass, tuple[str, ...]], *, is_apart: bool) -> list[str]:
    """The key patterns, each read-only if nothing in it is written and the server can say so."""
    written = {grant.on for grant in grants if grant.writes}
    asked: dict[str, bool] = {}
    for key_class in dict.fromkeys(grant.on for grant in grants if grant.on != "none"):
        for pattern in patterns[key_class]:
            asked[pattern] = asked.get(pattern, False) or key_class in written or not is_apart
    return [f"~{pattern}" if writes else f"%R~{pattern}" for pattern, writes in asked.items()]


def _commands(grants: Iterable[Grant]) -> list[str]:
    return sorted({f"+{grant.command}" for grant in grants})
