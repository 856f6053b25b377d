"""Whether an observer leads on this Redis: a sidecar asks, so that queries know of whom to take what both of them poll.

The question rides along with each poll and decides nothing here: where it is refused, as for users of Redis whose rules
are older than it, the poll is as good as without it, and whether an observer leads is not known.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from rlb.domain.keys import Keys
from rlb.errors import ApiError
from rlb.monitor.lease import lease_name
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ReplyError

_log = logging.getLogger("rlb.monitor")

DENIED_S = 300.0
"""How long the question waits once it was denied: Redis notes each denial in its log."""


@dataclass(frozen=True, slots=True)
class Leading:
    """What was found."""

    lease: str | None
    """The name of the lease that an observer holds; None while nobody does."""


class Observed:
    """Asks who holds the observers' lease."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self.leading: Leading | None = None
        """What the last question found; None if it has no answer."""
        self._link = link
        self._key = keys.observer
        self._denied_until_s = 0.0

    async def ask(self) -> None:
        """Ask, and have no answer where Redis does not give one. Until it is there, the last one holds."""
        if time.monotonic() < self._denied_until_s:
            return
        try:
            held = await self._link.call(b"GET", self._key, what="observer")
        except ReplyError as error:
            self.leading = None
            if error.is_denial:
                self._denied_until_s = time.monotonic() + DENIED_S
                _log.info("monitor.observer_not_asked", extra={"reason": f"Redis answered {error.summary}"})
        except ApiError:
            self.leading = None
        else:
            self.leading = Leading(lease_name(held) if held is not None else None)
