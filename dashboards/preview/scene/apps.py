"""Who lives in the scene: chats and agents that produce, and three consumer groups, all clients of a sidecar.

The traffic is that of `rlb demo`. The groups differ in how they read: one keeps up, one is slow, one dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from random import Random

from rlb.cli.demo.traffic import MODELS, Model, Plan, pause_s, plan_generation
from rlb.client import Bridge, Delivery
from rlb.domain.message import StreamConfig
from rlb.errors import RlbError

from .vllm import ModelServer

LIVE_VIEW, MODERATION, INDEXER = ("live-view", "moderation", "indexer")

AGENT_LENGTH = 4000
"""Entries kept of an agent's stream, which is written without a pause: about a minute and a half of it."""
AGENT_TURNS = 12
"""Answers in one generation of an agent."""

TURNS = 5
RETRY_S = 1.0

DATABASE_S, PAUSE_S = 8.0, 7.0
"""For how long the slow group's database answers, and for how long it then does not."""
REFUSED_EVERY = 1500
"""One in so many messages it cannot take: given back each time, until it is a dead letter ..."""
REFUSAL_S = 2.0
"""... and after so long."""


class Apps:
    """The apps of one pod, at the sidecar of that pod."""

    def __init__(self, bridge: Bridge, server: ModelServer, random: Random) -> None:
        self._bridge = bridge
        self._server = server
        self._random = random

    async def chat(self, models: tuple[Model, ...]) -> None:
        """One person after the other, a few questions each."""
        await asyncio.sleep(self._random.uniform(0, 3))
        while True:
            model = self._random.choice(models)
            session_id = f"chat-{self._random.getrandbits(24):06x}"
            await self._open(session_id, model)
            for _ in range(self._random.randint(1, TURNS)):
                await self._answer(session_id, model, plan_generation(self._random, model))
                await asyncio.sleep(pause_s(self._random))

    async def agent(self, session_id: str, model: Model) -> None:
        """One session that is never silent for long, and whose stream is short."""
        await self._open(session_id, model, AGENT_LENGTH)
        while True:
            plans = [plan_generation(self._random, model) for _ in range(AGENT_TURNS)]
            tokens = tuple(token for plan in plans for token in plan.tokens)
            delays = (plans[0].delays_s[0], *(delay for plan in plans for delay in plan.delays_s[1:]))
            await self._answer(session_id, model, Plan(tokens[: len(delays)], delays, "stop"))
            await asyncio.sleep(pause_s(self._random))

    async def _open(self, session_id: str, model: Model, max_length: int | None = None) -> None:
        """The stream with its groups from the beginning, so that none of them misses what it is not there to read."""
        stream = session_id, model.model_id
        with contextlib.suppress(RlbError):
            await self._bridge.create_stream(*stream, StreamConfig(max_length=max_length, consumer_group=LIVE_VIEW))
            for group in (MODERATION, INDEXER):
                await self._bridge.create_group(*stream, group)

    async def _answer(self, session_id: str, model: Model, plan: Plan) -> None:
        requested_at = time.time_ns() // 1_000_000
        with contextlib.suppress(RlbError), self._server.request(model.model_id) as request:
            async with self._bridge.generation(session_id, model.model_id, requested_at=requested_at) as generation:
                for token, delay_s in zip(plan.tokens, plan.delays_s, strict=False):
                    await asyncio.sleep(delay_s)
                    request.token()
                    await generation.produce(token)
                await generation.complete(plan.finish_reason)

    async def keep_up(self, group: str, consumer: str) -> None:
        """Read, and acknowledge while reading on; what a cancellation leaves behind has no ack."""
        async with asyncio.TaskGroup() as acks:
            async for delivery in self._bridge.subscribe(group, consumer=consumer, max_in_flight=500):
                acks.create_task(_acknowledge(delivery))

    async def moderate(self, group: str, consumer: str) -> None:
        """Read in turns: for a while quickly, then not at all; a few messages are never taken."""
        until_s = time.monotonic() + DATABASE_S
        number = 0
        async with asyncio.TaskGroup() as settled:
            async for delivery in self._bridge.subscribe(group, consumer=consumer, max_in_flight=300):
                number += 1
                if delivery.delivery_count > 1 or number % REFUSED_EVERY == 0:
                    settled.create_task(_refuse(delivery))
                    continue
                settled.create_task(_acknowledge(delivery))
                if time.monotonic() > until_s:
                    await asyncio.sleep(self._random.uniform(0.6, 1.2) * PAUSE_S)
                    until_s = time.monotonic() + DATABASE_S


async def _acknowledge(delivery: Delivery) -> None:
    with contextlib.suppress(RlbError):  # it comes again, to be acknowledged then
        await delivery.ack()


async def _refuse(delivery: Delivery) -> None:
    await asyncio.sleep(REFUSAL_S)
    with contextlib.suppress(RlbError):
        await delivery.nack("label not in the schema")


LLAMA, MISTRAL, _, QWEN = MODELS
