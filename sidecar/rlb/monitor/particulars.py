"""What is asked of a stream now and then, not at every poll: how it is kept short, and how much memory it takes."""

from __future__ import annotations

from collections.abc import Sequence

from rlb.bridge.claim import Limits
from rlb.domain.keys import Keys
from rlb.domain.stream_key import parse_stream_key
from rlb.monitor.budget import Budget
from rlb.monitor.reading import StreamBounds
from rlb.monitor.state import StreamState
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ConnectionLostError, ReplyError

BOUNDS_MS = 60_000
"""How often a stream's own bounds are looked up."""

MEASURED_A_POLL = 20
"""Streams whose memory is asked for in one poll, in turn."""

MEMORY_SAMPLES = 5
"""Nodes of a stream that MEMORY USAGE looks at."""


class Particulars:
    """Asks for them. Where Redis denies it, they stay unknown."""

    def __init__(self, link: Link, keys: Keys, limits: Limits) -> None:
        self._link = link
        self._keys = keys
        self._default = StreamBounds(limits.max_length, limits.retention_ms)
        self._measured = 0
        self._may_measure = True

    def reconnected(self) -> None:
        """What was denied may be allowed now."""
        self._may_measure = True

    async def look_up_bounds(self, states: Sequence[StreamState], budget: Budget) -> None:
        """Of rlb's own streams, how they are kept short: a stream's own bounds, else those of this sidecar."""
        now_ms = max((state.at_ms for state in states), default=0)
        asked = [
            state
            for state in states
            if (state.bounds_at_ms == 0 or now_ms - state.bounds_at_ms > BOUNDS_MS)
            and parse_stream_key(self._keys.prefix, state.key) is not None
        ]
        budget.commands += len(asked)
        replies = await self._link.batch_raw(
            [(b"HMGET", self._keys.config(state.key), b"maxLength", b"retentionMs") for state in asked]
        )
        default = self._default
        for state, reply in zip(asked, replies, strict=True):
            state.bounds_at_ms = max(1, now_ms)
            if isinstance(reply, ReplyError | ConnectionLostError):
                continue
            own = StreamBounds(_number(reply[0], default.max_length), _number(reply[1], default.retention_ms))
            # One object for the many that have no bounds of their own.
            state.bounds = default if own == default else own

    async def measure(self, states: Sequence[StreamState]) -> None:
        """Ask for the memory of some of these streams, those that come next."""
        if not states or not self._may_measure:
            return
        start = self._measured % len(states)
        chosen = states[start : start + MEASURED_A_POLL]
        self._measured = start + len(chosen)
        asked = [(b"MEMORY", b"USAGE", state.key, b"SAMPLES", MEMORY_SAMPLES) for state in chosen]
        for state, reply in zip(chosen, await self._link.batch_raw(asked), strict=True):
            if isinstance(reply, int):
                state.measured = reply, state.facts.length if state.facts is not None else 0
            elif isinstance(reply, ReplyError):
                self._may_measure = False


def _number(text: bytes | None, default: int | None) -> int | None:
    """A bound as it stands in Redis, where anybody may have written it."""
    return int(text) if text is not None and text.isdigit() else default
