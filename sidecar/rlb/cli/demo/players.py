"""The demo's apps: chats that produce, groups that consume, all through the client and the socket like any app."""

from __future__ import annotations

import asyncio
import contextlib
import time
from random import Random
from typing import TYPE_CHECKING

from rlb.cli.demo.tally import FAST_GROUP, SLOW_GROUP, GroupTally, Row, Tally
from rlb.cli.demo.traffic import Chat, Plan, pause_s, plan_chat, plan_generation, shown_chat
from rlb.cli.streams import Sort, fetch_streams
from rlb.errors import RlbError

if TYPE_CHECKING:
    from rlb.client import Bridge, Delivery

FAST_IN_FLIGHT = 1000
SLOW_PACE_S = 0.02
"""What the slow group spends on each message: fewer messages a second than the chats make."""
SLOW_IN_FLIGHT = 16
INSPECTION_S = 1.0
ALL_STREAMS = 100_000
RETRY_S = 1.0


async def chat_for_ever(bridge: Bridge, tally: Tally, row: Row, random: Random, *, is_shown: bool) -> None:
    """One chat after the other in one row of the screen."""
    await asyncio.sleep(random.uniform(0, 1.0))
    while True:
        chat = shown_chat() if is_shown else plan_chat(random)
        turn = 0
        while chat.turns is None or turn < chat.turns:
            turn += 1
            try:
                await _generate(bridge, tally, row, chat, plan_generation(random, chat.model))
            except RlbError as error:
                tally.fault(row, str(error))
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(pause_s(random))


async def _generate(bridge: Bridge, tally: Tally, row: Row, chat: Chat, plan: Plan) -> None:
    tally.begin(row, chat.session_id, chat.model.model_id)
    requested_at = time.time_ns() // 1_000_000
    async with bridge.generation(chat.session_id, chat.model.model_id, requested_at=requested_at) as generation:
        for token, delay_s in zip(plan.tokens, plan.delays_s, strict=True):
            await asyncio.sleep(delay_s)
            await generation.produce(token)
            tally.token(row, time.monotonic())
        await generation.complete(plan.finish_reason)
    tally.finish(row, plan.finish_reason)


async def consume_at_once(bridge: Bridge, tally: Tally) -> None:
    """The group that keeps up: shows each message and reads on while its ack is on the way."""
    group = tally.groups[FAST_GROUP]
    async with asyncio.TaskGroup() as acks:
        async for delivery in bridge.subscribe(group.name, consumer=f"{group.name}-1", max_in_flight=FAST_IN_FLIGHT):
            group.delivered += 1
            tally.came_back(delivery.session_id, delivery.model_id, delivery.message.token)
            acks.create_task(_acknowledge(delivery, group))


async def consume_at_leisure(bridge: Bridge, tally: Tally) -> None:
    """The group that falls behind: takes its time for each message, and waits for its ack as well."""
    group = tally.groups[SLOW_GROUP]
    async for delivery in bridge.subscribe(group.name, consumer=f"{group.name}-1", max_in_flight=SLOW_IN_FLIGHT):
        group.delivered += 1
        await asyncio.sleep(SLOW_PACE_S)
        await _acknowledge(delivery, group)


async def _acknowledge(delivery: Delivery, group: GroupTally) -> None:
    with contextlib.suppress(RlbError):  # it comes again, to be acknowledged then
        await delivery.ack()
        group.acked += 1


async def inspect(bridge: Bridge, tally: Tally) -> None:
    """Ask Redis again and again how far the groups are."""
    while True:
        await asyncio.sleep(INSPECTION_S)
        try:
            infos, _ = await fetch_streams(bridge, None, None, Sort.KEY, ALL_STREAMS)
            tally.inspected(infos)
        except RlbError as error:
            tally.last_fault = str(error)
