"""The generated part of docs/redis-acl.md: `make docs` writes it, a test holds the page against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rlb.domain.server_version import ServerVersion
from rlb.redis_io.acl import FEATURES, GRANTS, OLDEST, SELECTORS, Feature, Grant
from rlb.redis_io.acl_user import ROLES, Role, features_of, user_line
from rlb.settings import Settings

PAGE = Path(__file__).parent.parent / "docs" / "redis-acl.md"

SERVERS = {"Redis 7.2 and newer, Valkey": (7, 2), "Redis 7.0": (7, 0), "Redis 6.2": (6, 2)}

ROLE_TITLES: dict[Role, str] = {
    "sidecar": "The sidecar (`rlb run`)",
    "observer": "The observer (`rlb observe`)",
    "top": "`rlb-top --redis`",
}

FEATURE_TITLES: dict[Feature, str] = {
    "connect": "Any connection",
    "write": "Writing tokens",
    "tail": "Live tails",
    "groups": "Consumer groups",
    "dead letters": "Dead letters",
    "durability": "Durability `replicated` and `fsynced`",
    "manage": "Making, listing, trimming and deleting streams; removing consumers",
    "monitor": "Polling, and looking at a stream",
    "clean-up": "Removing dead consumers (`RLB_MONITOR__REMOVE_CONSUMERS_AFTER_SECONDS`)",
    "lease": "One of many polls (`rlb observe`, or `RLB_MONITOR__SCOPE=all`)",
    "observed": "Whether an observer polls (`RLB_MONITOR__SCOPE=own`)",
    "probe": "Timed round trips (`RLB_MONITOR__PROBE_SECONDS`)",
}

KEY_TITLES = {
    "none": "",
    "streams": "`llm:stream:*`",
    "bounds": "`llm:stream-config:*`",
    "watched": "`RLB_MONITOR__PATTERNS`",
    "index": "`llm:streams`",
    "dead letters": "`llm:dlq:*`",
    "lease": "`llm:observer`",
    "probe": "`llm:probe-*`",
    "durability": "`llm:stream-probe:*`",
}

_BEGIN, _END = "<!-- acl -->\n", "<!-- /acl -->\n"


def with_tables(text: str) -> str:
    """The page with its generated part as it is now."""
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    return f"{head}{begin}{tables()}\n{end}{tail}"


def tables() -> str:
    """The lines for each role and server, then what each command is for."""
    return "\n".join([*_lines(), "## What each command is for", "", *_table()]) + "\n"


def _lines() -> Iterator[str]:
    for role in ROLES:
        yield f"## {ROLE_TITLES[role]}"
        yield ""
        for title, numbers in SERVERS.items():
            yield f"{title}:"
            yield ""
            yield "```text"
            yield user_line(role, Settings(), ServerVersion("redis", numbers), user="rlb")
            yield "```"
            yield ""


def _table() -> Iterator[str]:
    yield "| for | command | keys | why | who |"
    yield "|---|---|---|---|---|"
    for feature in FEATURES:
        title = FEATURE_TITLES[feature]
        rows: dict[tuple[str, str, str], list[Grant]] = {}
        for grant in GRANTS:
            if grant.feature == feature:
                rows.setdefault((grant.command, grant.why, _servers(grant)), []).append(grant)
        for (command, why, servers), grants in rows.items():
            keys = ", ".join(filter(None, (KEY_TITLES[grant.on] for grant in grants)))
            shown = f"`{command}`".replace("|", r"\|")
            yield f"| {title} | {shown} | {keys} | {why}{servers} | {_who(feature)} |"
            title = ""


def _servers(grant: Grant) -> str:
    if grant.since != OLDEST:
        return f" (from {_number(grant.since)})"
    if grant.until == SELECTORS:
        return " (6.2)"
    return ""


def _number(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _who(feature: Feature) -> str:
    extras = {"probe_seconds": 1, "remove_consumers_after_seconds": 1}
    each = [Settings.model_validate({"monitor": {"scope": scope, **extras}}) for scope in ("own", "all")]
    return ", ".join(role for role in ROLES if any(feature in features_of(role, settings) for settings in each))


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
