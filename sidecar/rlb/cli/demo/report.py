"""The demo in words and in JSON: what is said at the start, at intervals and in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlb.cli import text
from rlb.cli.demo.tally import Picture
from rlb.cli.demo.traffic import SHOWN_MODEL, SHOWN_SESSION


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demo can be reached. `program` is how its user calls rlb; `remarks` say what is not as usual."""

    program: str
    socket: str
    is_default_socket: bool
    health_url: str | None
    """None if there is no port."""
    remarks: tuple[str, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """Three commands to try next, ready to be pasted."""
        socket = "" if self.is_default_socket else f" --socket {self.socket}"
        return (
            f"{self.program} tail -s {SHOWN_SESSION} -m {SHOWN_MODEL.model_id} --follow{socket}",
            f"{self.program} streams --sort lag{socket}",
            f'echo "Hello from my shell" | {self.program} produce -s mine -m my/model{socket}',
        )


def start_lines(places: Places, chats: int) -> list[str]:
    """What is said before the first token."""
    return [
        f"rlb demo: a Valkey of its own, a sidecar, {text.plural(chats, 'chat')}, a fast group and a slow one",
        "",
        *(f"  note    {remark}" for remark in places.remarks),
        f"  socket  {places.socket}",
        *((f"  health  {places.health_url}",) if places.health_url is not None else ()),
        "",
        "  Try in another terminal:",
        *(f"    {command}" for command in places.commands),
        "",
    ]


def progress_line(picture: Picture) -> str:
    """One line for where no screen can be drawn."""
    groups = "".join(
        f"; {group.name}: {group.delivered:,} delivered, {group.acked:,} acked, {text.count(group.behind)} behind"
        for group in picture.groups
    )
    faults = f"; {text.plural(picture.faults, 'fault')}, the last: {picture.last_fault}" if picture.faults else ""
    return (
        f"{text.clock(picture.elapsed_s)}  {picture.tokens_per_second:,.0f} tokens/s, "
        f"{text.plural(picture.tokens, 'token')}, {picture.in_flight} in flight{groups}{faults}"
    )


def end_line(picture: Picture) -> str:
    """What it all came to."""
    endings = ", ".join(f"{count:,} {reason}" for reason, count in sorted(picture.finished.items()))
    groups = "; ".join(f"{group.name} acknowledged {group.acked:,}" for group in picture.groups)
    return (
        f"ended after {text.clock(picture.elapsed_s)}: {text.plural(picture.tokens, 'token')}, "
        f"{text.plural(sum(picture.finished.values()), 'whole generation')}"
        f"{f' ({endings})' if endings else ''}; {groups}"
    )


def start_event(places: Places) -> dict[str, Any]:
    """The first line of `--json`."""
    return {
        "event": "started",
        "socket": places.socket,
        "healthUrl": places.health_url,
        "remarks": list(places.remarks),
        "try": list(places.commands),
    }


def picture_event(event: str, picture: Picture) -> dict[str, Any]:
    """A line of `--json` with everything countable."""
    return {
        "event": event,
        "elapsedSeconds": round(picture.elapsed_s, 3),
        "tokens": picture.tokens,
        "tokensPerSecond": round(picture.tokens_per_second, 1),
        "inFlight": picture.in_flight,
        "finished": dict(sorted(picture.finished.items())),
        "faults": picture.faults,
        "groups": [
            {
                "group": group.name,
                "delivered": group.delivered,
                "acked": group.acked,
                "behind": group.behind,
                "oldestUnreadSeconds": group.oldest_s,
            }
            for group in picture.groups
        ],
    }
