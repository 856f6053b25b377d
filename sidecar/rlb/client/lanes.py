"""Lanes: jobs run in order within a lane, and lanes run side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

Job = Callable[[], Awaitable[None]]


class Lanes:
    """Runs jobs of at most `concurrency` lanes at a time, and holds at most `capacity` that have not ended.

    A lane that has more to do goes to the back of the queue after each job, so that a busy one does not starve the
    others. At capacity `add` waits; nothing is dropped.
    """

    def __init__(self, concurrency: int, capacity: int) -> None:
        self._concurrency = concurrency
        self._capacity = capacity
        self._lanes: dict[Hashable, deque[Job]] = {}
        self._ready: deque[Hashable] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._working = 0
        self._held = 0
        self._room = asyncio.Event()
        self._is_stopping = False
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def held(self) -> int:
        """Jobs that were added and have not ended."""
        return self._held

    async def add(self, name: Hashable, job: Job) -> None:
        """Queue a job behind the others of its lane; waits while the lanes are at capacity.

        Raises:
            Exception: what a job has raised, which ends the lanes: jobs are to deal with their failures themselves.
        """
        while self._held >= self._capacity and not self._failed.done():
            self._room.clear()
            await self._room.wait()
        if self._failed.done():
            self._failed.result()
        self._held += 1
        lane = self._lanes.get(name)
        if lane is not None:
            lane.append(job)
            return
        self._lanes[name] = deque((job,))
        self._ready.append(name)
        if self._working < self._concurrency:
            self._working += 1
            worker = asyncio.create_task(self._work(), name="rlb processor")
            self._workers.add(worker)
            worker.add_done_callback(self._on_worker_done)

    async def stop(self, deadline_s: float) -> int:
        """Start no further job, let those that run finish, cut off what is late; gives how many jobs did not end."""
        self._is_stopping = True
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=deadline_s)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return self._held

    async def _work(self) -> None:
        try:
            while self._ready and not self._is_stopping:
                await self._work_on(self._ready.popleft())
        finally:
            self._working -= 1

    async def _work_on(self, name: Hashable) -> None:
        lane = self._lanes[name]
        await lane[0]()
        lane.popleft()
        self._held -= 1
        self._room.set()
        if lane:
            self._ready.append(name)
        else:
            del self._lanes[name]

    def _on_worker_done(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()  # told by the next `add`, or by nobody if there is none
            self._room.set()
