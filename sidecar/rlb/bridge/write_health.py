"""Whether Redis takes messages, which a connection that is up does not tell: a full or read-only Redis answers too."""

from __future__ import annotations

import asyncio
import logging

from rlb.errors import RedisOutOfMemoryError, RedisReadOnlyError, RedisUnavailableError

OF_REDIS = (RedisOutOfMemoryError, RedisReadOnlyError, RedisUnavailableError)
"""Refusals that the next message would meet as well, whatever its stream is."""

REMEMBERED_S = 60.0
"""How long a refusal counts if nobody writes after it."""

SAID_AGAIN_S = 60.0
"""How often the log says that messages are refused, while they are."""

_log = logging.getLogger("rlb.append")


class WriteHealth:
    """What became of the last messages."""

    __slots__ = ("_count", "_last_s", "_loop", "_said_s", "reason")

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why the last were refused; None once one has landed."""
        self._count = 0
        self._last_s = 0.0
        self._said_s = 0.0
        self._loop = asyncio.get_running_loop()

    def refused(self, code: str, reason: str) -> None:
        """A message was not written, for a reason that names no stream and holds no secret."""
        now_s = self._loop.time()
        self._count += 1
        self._last_s = now_s
        if self.reason is None or now_s - self._said_s >= SAID_AGAIN_S:
            self._said_s = now_s
            _log.warning("append.refused", extra={"code": code, "reason": reason, "messages": self._count})
        self.reason = reason

    def landed(self) -> None:
        """A message was written, after some that were not."""
        _log.info("append.taken_again", extra={"refused_messages": self._count})
        self.reason = None
        self._count = 0

    @property
    def trouble(self) -> str | None:
        """Why Redis takes no messages now; None if it does, or nobody has tried for a while."""
        if self.reason is None or self._loop.time() - self._last_s > REMEMBERED_S:
            return None
        return f"messages are refused, {self._count} so far: {self.reason}"
