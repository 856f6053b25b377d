"""`rlb produce`: writes standard input into a stream, token by token, as it arrives."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlb.cli import text
from rlb.cli.connection import STREAM_PATIENCE_S, with_bridge
from rlb.cli.options import JsonOption, ModelOption, SessionOption, SocketOption
from rlb.cli.output import note, print_json_line
from rlb.cli.produce_input import Format, InputError, LineSteps, Step, Steps, TextSteps, Token, detect

if TYPE_CHECKING:
    from rlb.cli.incoming import Incoming
    from rlb.client import Ack, Bridge

STDIN = 0

PAUSE_S = 0.1
"""Silence after which half a word is written as it stands."""


@dataclass(slots=True)
class Written:
    """What has been written so far."""

    messages: int = 0
    generations: int = 0
    last_ack: Ack | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to write where, and how."""

    session_id: str
    model_id: str
    format: Format
    finish_reason: str
    interval_s: float
    shows_acks: bool


def produce(
    session: SessionOption,
    model: ModelOption,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="[auto|text|ndjson|openai]",
            help="Plain text, NDJSON objects with token and complete, or an OpenAI event stream; auto looks at it.",
        ),
    ] = Format.AUTO,
    finish_reason: Annotated[
        str, typer.Option("--finish-reason", metavar="WORD", help="How the generation ends if the input does not say.")
    ] = "stop",
    rate: Annotated[
        float, typer.Option("--rate", metavar="N", min=0, help="Tokens a second at most; 0 = as fast as they come.")
    ] = 0.0,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write standard input into a stream as it arrives, and end the generation with it.

    Prints a summary; with --json, the ack of each message (of an event stream, the ack of the last).
    """
    if os.isatty(STDIN):
        note("type the answer, and end it with Ctrl-D")
    order = Order(session, model, form, finish_reason, 1 / rate if rate else 0.0, as_json)
    start_s = time.monotonic()
    try:
        written = with_bridge(socket, lambda bridge: _write(bridge, order), patience_s=STREAM_PATIENCE_S)
    except InputError as error:
        raise typer.TyperException(f"standard input: {error}") from None
    if written.messages == 0:
        raise typer.TyperException("standard input: nothing came, so nothing was written")
    if not as_json:
        print(summary(order, written, time.monotonic() - start_s))


def summary(order: Order, written: Written, elapsed_s: float) -> str:
    """What was written, in one line."""
    several = f" in {written.generations} generations" if written.generations > 1 else ""
    line = (
        f"{text.plural(written.messages, 'message')}{several} to {order.session_id} {order.model_id} "
        f"in {text.duration(elapsed_s)} ({written.messages / max(elapsed_s, 0.001):,.0f}/s)"
    )
    last = written.last_ack
    return line if last is None else f"{line}, the last is {last.entry_id}, sequence {last.sequence:,}"


async def _write(bridge: Bridge, order: Order) -> Written:
    from rlb.cli.incoming import Incoming

    incoming = Incoming(STDIN)
    head = b""
    form: Format | None = order.format if order.format is not Format.AUTO else None
    while form is None:
        piece = await incoming.next()
        head += piece
        form = detect(head, is_all=not piece)
    if form is Format.OPENAI:
        return await _relay(bridge, order, _rest(head, incoming))
    steps = TextSteps() if form is Format.TEXT else LineSteps(order.session_id, order.model_id)
    return await _generate(bridge, order, _steps(head, incoming, steps))


async def _relay(bridge: Bridge, order: Order, pieces: AsyncGenerator[bytes, None]) -> Written:
    """The sidecar understands these events by itself."""
    relayed = await bridge.relay(order.session_id, order.model_id, pieces)
    written = Written(relayed.messages, min(1, relayed.messages), relayed.last_ack)
    if order.shows_acks and relayed.last_ack is not None:
        print_json_line(ack_members(relayed.last_ack))
    return written


async def _generate(bridge: Bridge, order: Order, steps: AsyncGenerator[Step, None]) -> Written:
    """One generation after the other: the next one begins with the first token behind an end."""
    from asyncio import sleep

    written = Written()
    async for first in steps:
        written.generations += 1
        async with bridge.generation(order.session_id, order.model_id) as generation:
            step: Step | None = first
            while isinstance(step, Token):
                await generation.produce(step.text)
                if order.shows_acks:
                    await generation.flush()
                    print_json_line(ack_members(generation.last_ack))
                if order.interval_s:
                    await sleep(order.interval_s)
                step = await anext(steps, None)
            written.last_ack = await generation.complete(step.reason if step is not None else order.finish_reason)
            written.messages += generation.acked
        if order.shows_acks:
            print_json_line(ack_members(written.last_ack))
    return written


async def _rest(head: bytes, incoming: Incoming) -> AsyncGenerator[bytes, None]:
    if head:
        yield head
    while piece := await incoming.next():
        yield piece


async def _steps(head: bytes, incoming: Incoming, steps: Steps) -> AsyncGenerator[Step, None]:
    for step in steps.feed(head):
        yield step
    is_over = False
    while not is_over:
        try:
            piece = await incoming.next(PAUSE_S)
        except TimeoutError:
            made = steps.pause()
        else:
            is_over = not piece
            made = steps.finish() if is_over else steps.feed(piece)
        for step in made:
            yield step


def ack_members(ack: Ack | None) -> dict[str, Any]:
    """An ack as the API writes it."""
    assert ack is not None, "a message that was written has an ack"
    members = {
        "messageId": ack.message_id,
        "entryId": ack.entry_id,
        "sequence": ack.sequence,
        "durability": ack.durability,
    }
    return {**members, "duplicate": True} if ack.duplicate else members
