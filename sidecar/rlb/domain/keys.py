"""The names of everything that rlb keeps in Redis, derived from one prefix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Redis keys for a stream prefix such as `llm:stream`."""

    prefix: str

    @property
    def index(self) -> str:
        """Sorted set of stream keys, scored by their last activity in Unix ms: `llm:streams`."""
        return f"{self.prefix}s"

    def config(self, key: str) -> str:
        """Hash of a stream's own bounds, in the stream's slot; only there where createStream gave some."""
        return f"{self.prefix}-config:{{{key}}}"

    def dead_letters(self, group: str) -> str:
        """Stream of a group's dead letters: `llm:dlq:<group>`."""
        return f"{self._namespace}:dlq:{group}"

    @property
    def observer(self) -> str:
        """Name of the observer that polls, for as long as it renews it: `llm:observer`."""
        return f"{self._namespace}:observer"

    def probe(self, name: str) -> str:
        """Stream of one process's probe: `llm:probe-<name>`. It fits no template, as it has one part too few."""
        return f"{self._namespace}:probe-{name}"

    @property
    def _namespace(self) -> str:
        return self.prefix.rpartition(":")[0] or self.prefix
