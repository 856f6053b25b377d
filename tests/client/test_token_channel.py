"""What the channel makes of answers that a real sidecar gives in rare moments only; the sidecar is a script here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rlb.client.generation import Generation, Opening
from rlb.client.patience import Patience
from rlb.client.token_channel import TokenChannel
from rlb.errors import OverloadedError, PeerNotAllowedError, RlbError, SidecarUnreachableError

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def ack(line: dict[str, Any], sequence: int = 1) -> dict[str, Any]:
    return {
        "messageId": line["messageId"],
        "entryId": f"5-{sequence}",
        "sequence": sequence,
        "durability": "written",
    }


def error(code: str) -> Answer:
    return lambda _: {"error": {"code": code, "detail": "scripted"}}


class Script:
    """Stands in for a transport: each conversation answers its lines in turn, then ends."""

    path = Path("/script.sock")

    def __init__(self, *conversations: RlbError | list[Answer]) -> None:
        self.conversations = list(conversations)
        self.heard: list[list[dict[str, Any]]] = []

    def patience(self) -> Patience:
        return Patience(5, lambda _: True)

    @asynccontextmanager
    async def stream(self, *_: object, body: AsyncIterator[bytes], **__: object) -> AsyncIterator[ScriptedLines]:
        conversation = self.conversations.pop(0)
        if isinstance(conversation, RlbError):
            raise conversation
        self.heard.append([])
        yield ScriptedLines(body, conversation, self.heard[-1])


class ScriptedLines:
    def __init__(self, body: AsyncIterator[bytes], answers: list[Answer], heard: list[dict[str, Any]]) -> None:
        self._body = body
        self._answers = answers
        self._heard = heard

    async def next(self) -> list[bytes] | None:
        if not self._answers:
            return None
        lines = [json.loads(line) for line in (await anext(self._body)).splitlines()]
        self._heard += lines
        answers = self._answers[: len(lines)]
        del self._answers[: len(lines)]
        return [json.dumps(answer(line)).encode() for answer, line in zip(answers, lines, strict=False)]


def generation_on(script: Script) -> Generation:
    channel = TokenChannel(script, ack_timeout_s=5)  # type: ignore[arg-type]
    return Generation(Opening("s", "m"), channel, 100)


@pytest.mark.parametrize("code", ["draining", "request_timeout"])
async def test_not_now_is_no_failure(code: str) -> None:
    """Lines that a stopping sidecar did not take, or that came too slowly, are sent again in order and open anew."""
    script = Script(
        [ack, error(code), error(code)],
        [lambda line: ack(line, 2), lambda line: ack(line, 3), lambda line: ack(line, 4)],
    )
    async with generation_on(script) as generation:
        for token in ("a", "b", "c"):
            await generation.produce(token)
        await generation.flush()
        assert generation.acked == 3
        await generation.complete()
    first, second = script.heard
    assert [line["token"] for line in first] == ["a", "b", "c"]
    assert [line.get("token") for line in second] == ["b", "c", None]
    assert [line.get("open") for line in second] == [True, None, None]
    assert [line["messageId"] for line in second[:2]] == [line["messageId"] for line in first[1:]]


async def test_a_refused_connection_is_made_again_if_the_refusal_may_pass() -> None:
    """Too many connections at this moment is a reason to wait."""
    script = Script(OverloadedError("scripted"), [ack, lambda line: ack(line, 2)])
    async with generation_on(script) as generation:
        await generation.produce("a")
        await generation.flush()
    assert generation.acked == 2


async def test_a_connection_refused_for_good_is_an_error() -> None:
    """Nobody waits for a sidecar that does not let this user in."""

    async def produce() -> None:
        async with generation_on(Script(PeerNotAllowedError("scripted"))) as generation:
            await generation.produce("a")
            await generation.flush()

    with pytest.raises(PeerNotAllowedError):
        await produce()


async def test_an_answer_that_cannot_be_read_ends_the_waiting() -> None:
    """A peer that does not keep to the protocol is an error for all that wait, not a wait for ever."""

    class Babbling(ScriptedLines):
        async def next(self) -> list[bytes] | None:
            await super().next()
            return [b"babble"]

    class BabblingScript(Script):
        @asynccontextmanager
        async def stream(self, *_: object, body: AsyncIterator[bytes], **__: object) -> AsyncIterator[ScriptedLines]:
            yield Babbling(body, [ack], [])

    async def produce() -> None:
        async with generation_on(BabblingScript()) as generation:
            await generation.produce("a")
            await generation.flush()

    with pytest.raises(SidecarUnreachableError, match="the client failed"):
        await produce()
