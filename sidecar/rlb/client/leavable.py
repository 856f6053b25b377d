"""What is iterated with `async for` and may be left at any time: each iteration ends with the loop that runs it."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class Leavable(ABC, Generic[Item]):
    """An asynchronous iterable that can be entered with `async with`, to be ended for certain at its end."""

    # Weak, so that a loop that is left early ends the connection: nothing else holds the iteration.
    _running: weakref.ref[AsyncGenerator[Item, None]] | None = None

    @abstractmethod
    def _iterate(self) -> AsyncGenerator[Item, None]:
        """A new iteration."""

    def __aiter__(self) -> AsyncGenerator[Item, None]:
        running = self._iterate()
        self._running = weakref.ref(running)
        return running

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the iteration now; a loop that is left early ends it a little later by itself."""
        running = self._running() if self._running is not None else None
        if running is not None:
            await running.aclose()
