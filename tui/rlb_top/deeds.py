"""What a person may do to a stream: asked for in words, confirmed, done, and told of in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from rlb_top import format as fmt
from rlb_top.actions import Actions, StreamName

Perform = Callable[[str], Awaitable[str]]
"""Does it, with what the person typed, and gives the outcome; raises ActionFailedError."""


def _needs_text(text: str) -> str | None:
    return None if text.strip() else "needed"


def _needs_count(text: str) -> str | None:
    return None if text.strip().isdecimal() else "a number of entries"


@dataclass(frozen=True, slots=True)
class Deed:
    """One action, before it is confirmed."""

    title: str
    question: str
    """What it will do, and what cannot be undone."""
    perform: Perform = field(repr=False)
    prompt: str | None = None
    """What has to be typed for it; None: nothing."""
    suggestion: str = ""
    check: Callable[[str], str | None] = field(default=lambda _: None, repr=False)
    """What is wrong with what was typed; None: nothing."""


def acknowledge(actions: Actions, stream: StreamName, group: str, ids: Sequence[str]) -> Deed:
    """Settle pending entries as if they had been handled."""

    async def perform(_: str) -> str:
        done = await actions.acknowledge(stream, group, ids)
        return _outcome(done, f"acknowledged {fmt.plural(done, 'entry')} of {group}")

    return Deed(
        "Acknowledge",
        f"Settle {_entries(ids)} of {group} as if handled. No consumer will get {_them(ids)} again.",
        perform,
    )


def claim(actions: Actions, stream: StreamName, group: str, ids: Sequence[str], suggestion: str = "") -> Deed:
    """Hand pending entries to another consumer."""

    async def perform(consumer: str) -> str:
        done = await actions.claim(stream, group, consumer.strip(), ids)
        return _outcome(done, f"{consumer.strip()} has claimed {fmt.plural(done, 'entry')} of {group}")

    question = f"Hand {_entries(ids)} of {group} to another consumer, which counts as one more delivery."
    return Deed("Claim", question, perform, prompt="consumer", suggestion=suggestion, check=_needs_text)


def bury(actions: Actions, stream: StreamName, group: str, ids: Sequence[str]) -> Deed:
    """Set pending entries aside as dead letters."""

    async def perform(reason: str) -> str:
        done = await actions.bury(stream, group, ids, reason.strip())
        return _outcome(done, f"set {fmt.plural(done, 'entry')} of {group} aside")

    question = f"Set {_entries(ids)} of {group} aside as dead letters. They can be replayed."
    return Deed("Set aside", question, perform, prompt="reason", suggestion="set aside by hand", check=_needs_text)


def replay(actions: Actions, group: str) -> Deed:
    """Have dead letters delivered again."""

    async def perform(ids: str) -> str:
        done = await actions.replay(group, ids.split())
        return f"{fmt.plural(done, 'dead letter')} of {group} will be delivered again"

    question = f"Have dead letters of {group} delivered again, by their ids (`rlb dead-letters list` shows them)."
    return Deed("Replay", question, perform, prompt="ids", check=_needs_text)


def trim(actions: Actions, stream: StreamName, length: int) -> Deed:
    """Remove the oldest entries of a stream."""

    async def perform(kept: str) -> str:
        done = await actions.trim(stream, max_length=int(kept))
        return f"removed {fmt.plural(done, 'entry')} of {fmt.line(stream.key)}"

    question = f"Remove the oldest of {fmt.plural(length, 'entry')}, read or not. This cannot be undone."
    return Deed("Trim", question, perform, prompt="entries to keep", suggestion=str(length), check=_needs_count)


def remove_consumer(actions: Actions, stream: StreamName, group: str, consumer: str) -> Deed:
    """Remove a consumer that has nothing pending."""

    async def perform(_: str) -> str:
        was_there = await actions.remove_consumer(stream, group, consumer)
        name = fmt.line(consumer)
        return f"removed {name} from {group}" if was_there else f"{group} has no consumer {name} any more"

    question = f"Remove the consumer {fmt.line(consumer)} from {group}. It is refused while entries are pending for it."
    return Deed("Remove consumer", question, perform)


def _outcome(done: int, told: str) -> str:
    return told if done else "none of it was pending any more"


def _entries(ids: Sequence[str]) -> str:
    return f"the entry {ids[0]}" if len(ids) == 1 else fmt.plural(len(ids), "entry")


def _them(ids: Sequence[str]) -> str:
    return "it" if len(ids) == 1 else "them"
