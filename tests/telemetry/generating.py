"""Generations for a tracer."""

from __future__ import annotations

from tests.support.traced import TracedCore


async def generate(core: TracedCore, tokens: int = 3, complete: str | None = "stop", **more: object) -> None:
    """A generation, token by token, each in a write of its own; `more` goes with the first one."""
    connection = core.core.connection()
    for number in range(tokens):
        connection.send(f"t{number}", **(more if number == 0 else {}))
        await connection.answers()
    if complete is not None:
        connection.send("", complete=complete)
        await connection.answers()
