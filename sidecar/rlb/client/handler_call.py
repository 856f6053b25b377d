"""Calling an app's handler, be it a coroutine function or a plain one."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

SubjectT = TypeVar("SubjectT")

MAX_FRAMES = 3


class HandlerCall(Generic[SubjectT]):
    """Awaits a coroutine function; runs any other callable in a thread, so that it may block.

    A thread cannot be stopped: a handler that is cut off in one ends later, and nobody hears of it.
    """

    def __init__(self, handler: Callable[[SubjectT], Awaitable[None] | None], threads: int) -> None:
        self._handler = handler
        is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)
        self._threads = None if is_async else ThreadPoolExecutor(threads, thread_name_prefix="rlb-handler")

    async def __call__(self, subject: SubjectT) -> None:
        """Run the handler; raises what it raises."""
        if self._threads is None:
            result = self._handler(subject)
        else:
            run = contextvars.copy_context().run
            result = await asyncio.get_running_loop().run_in_executor(self._threads, run, self._handler, subject)
        if inspect.isawaitable(result):
            await result

    def close(self) -> None:
        """Let the threads end when they are done."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def place_of(error: Exception) -> list[str]:
    """Where an exception comes from: its innermost frames. Its text may quote a message, so it is not for logs."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
