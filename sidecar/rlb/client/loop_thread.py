"""An event loop in a thread of its own, for code that has none."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

CLOSED = "the bridge is closed: use it inside of `with SyncBridge() as bridge`"


class LoopThread:
    """Runs coroutines for other threads. Ends with `close`, or when nobody holds it any more."""

    def __init__(self) -> None:
        self._shared = _Shared()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._shared.run, name="rlb-bridge", daemon=True)
        self._thread.start()
        self._shared.is_running.wait()
        self._end = weakref.finalize(self, self._shared.end)

    def call(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """The result of `work`; an interrupt of the calling thread cancels it.

        Raises:
            RuntimeError: the thread has ended, is the one that calls, or stayed behind in a fork.
        """
        try:
            if threading.current_thread() is self._thread:
                raise RuntimeError("called from the bridge's own thread, which must not wait for itself")
            if os.getpid() != self._pid:
                raise RuntimeError("the bridge was opened before a fork, and its thread stayed behind: open it after")
            # Under the lock, so that whatever is begun is begun before the end, which then cancels it.
            with self._lock:
                if not self._end.alive:
                    raise RuntimeError(CLOSED)
                future = asyncio.run_coroutine_threadsafe(work, self._shared.loop)
        except RuntimeError:
            work.close()
            raise
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError(CLOSED) from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop, cancel what still runs in it, and wait for the thread."""
        with self._lock:
            self._end()
        self._thread.join()


class _Shared:
    """What the thread and its owner both hold; the thread does not hold its owner."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.is_running = threading.Event()
        self._over = asyncio.Event()

    def run(self) -> None:
        asyncio.run(self._wait())

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self._over.set)

    async def _wait(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.is_running.set()
        await self._over.wait()
