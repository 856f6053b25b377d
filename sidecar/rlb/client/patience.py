"""How long, and at which intervals, a sidecar that does not answer is asked again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from rlb.errors import RlbError


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from `first_s` to `longest_s`, each shortened at random by up to a half.

    The first is not shorter than it takes a sidecar to read what an ended connection left behind: messages that come
    again should find their first copies settled.
    """

    first_s: float = 0.1
    longest_s: float = 1.0

    def delay_s(self, attempt: int) -> float:
        """The pause behind the `attempt`-th failure in a row, counted from 0."""
        return min(self.longest_s, self.first_s * float(2 ** min(attempt, 30))) * random.uniform(0.5, 1.0)


class Patience:
    """The time without contact that one conversation bears: `limit_s` from the first failure behind a contact.

    Where there never was a sidecar there is nothing to wait for: a wrong path is told at once. Afterwards an absence
    is taken for a restart. `may_pass` tells the two apart.
    """

    def __init__(self, limit_s: float, may_pass: Callable[[RlbError], bool], backoff: Backoff | None = None) -> None:
        self._limit_s = limit_s
        self._may_pass = may_pass
        self._backoff = backoff or Backoff()
        self._lost_at_s: float | None = None
        self._attempts = 0

    def contact(self) -> None:
        """The other side has been heard from."""
        self._lost_at_s = None
        self._attempts = 0

    async def pause(self, error: RlbError) -> None:
        """Wait before the next attempt.

        Raises:
            RlbError: `error`, when waiting is over or pointless.
        """
        now_s = asyncio.get_running_loop().time()
        if self._lost_at_s is None:
            self._lost_at_s = now_s
        left_s = self._lost_at_s + self._limit_s - now_s
        if left_s <= 0 or not self._may_pass(error):
            raise error
        delay_s = self._backoff.delay_s(self._attempts)
        self._attempts += 1
        await asyncio.sleep(min(delay_s, left_s))
