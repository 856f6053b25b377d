"""Puts the demo together: the sidecar, the apps around it and what is shown of them, from start to stop."""

from __future__ import annotations

import asyncio
import signal
import time
from random import Random

from rlb.cli.demo.players import chat_for_ever, consume_at_leisure, consume_at_once, inspect
from rlb.cli.demo.report import Places
from rlb.cli.demo.show import Show
from rlb.cli.demo.tally import Row, Tally
from rlb.client import Bridge
from rlb.service import Service
from rlb.settings import Settings

READY_S = 10.0


async def run(settings: Settings, places: Places, show: Show, *, chats: int, duration_s: float) -> None:
    """Run until SIGINT, SIGTERM, SIGHUP or the end of `duration_s`, if that is not 0.

    Raises:
        StartError: the sidecar or its server cannot start.
        RlbError: one of the apps has given up.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with Service(settings, embedded=True), Bridge(settings.socket.path, patience_s=5.0) as bridge:
        await bridge.wait_until_ready(READY_S, redis=True)
        tally = Tally(time.monotonic(), [Row() for _ in range(chats)])
        show.start(places, chats)
        apps = [
            *(chat_for_ever(bridge, tally, row, Random(), is_shown=i == 0) for i, row in enumerate(tally.rows)),
            consume_at_once(bridge, tally),
            consume_at_leisure(bridge, tally),
            inspect(bridge, tally),
            show.follow(tally),
        ]
        stopping = asyncio.create_task(stop.wait())
        tasks = [stopping, *(asyncio.create_task(app) for app in apps)]
        try:
            done, _ = await asyncio.wait(tasks, timeout=duration_s or None, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done - {stopping}:
            task.result()  # an app never ends but by raising
        show.end(tally.picture(time.monotonic()))
