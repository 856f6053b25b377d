"""Which server it is, and what that says of the numbers it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LagTrust = Literal["always", "if_seen_right", "never"]


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """A product and its version, from INFO server."""

    product: Literal["redis", "valkey"]
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.numbers))}"

    @property
    def lag_trust(self) -> LagTrust:
        """How far `lag` of XINFO GROUPS can be relied on where nothing was deleted ahead of the group.

        Measured on Redis 6.2.5, 7.0.15, 8.2.3 and Valkey 9.1.2. Redis recomputes it since #13958 (in 8.2): right.
        Valkey leaves a phantom after a trim past the group, until the group has caught up; so it is trusted once it
        was seen to be right, until it is seen to be wrong. Older servers keep the phantom for good.
        """
        if self.product == "redis":
            return "always" if self.numbers >= (8, 2) else "never"
        return "if_seen_right" if self.numbers >= (9,) else "never"

    @property
    def recomputes_entries_read(self) -> bool:
        """Whether `entries-read` jumps over what was trimmed unread, and so stays the group's place in the stream."""
        return self.lag_trust == "always"

    @property
    def has_inactive(self) -> bool:
        """Whether `idle` of a consumer is the time since its last attempt, and `inactive` that since a success."""
        return self.product == "valkey" or self.numbers >= (7, 2)

    @property
    def has_eval_ro(self) -> bool:
        """Whether a script can be run as one that only reads, for which the right to read its keys is enough."""
        return self.numbers >= (7, 0)


def parse_server_version(info: str) -> ServerVersion | None:
    """Read the `server` section of INFO; None if it names no version."""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    if "valkey_version" in fields:
        return ServerVersion("valkey", _numbers(fields["valkey_version"]))
    if "redis_version" in fields:
        return ServerVersion("redis", _numbers(fields["redis_version"]))
    return None


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.strip().split("-")[0].split(".")
    return tuple(int(part) for part in parts if part.isdecimal())
