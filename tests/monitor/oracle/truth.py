"""What is true of each stream, from its entries and its groups' positions alone; none of the server's counters is used.

Lag is counted. Losses are events: whenever an entry is gone that was there (or was just added) before a command, every
group that had not come as far as that entry has lost it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from tests.monitor.oracle.wire import Command, Wire

Id = tuple[int, int]


def id_of(raw: bytes) -> Id:
    """An entry id as a pair, which compares as Redis compares."""
    ms, _, seq = raw.partition(b"-")
    return int(ms), int(seq)


def text(entry_id: Id) -> str:
    """An entry id as Redis writes it."""
    return f"{entry_id[0]}-{entry_id[1]}"


@dataclass
class GroupTruth:
    """One group, from its creation to its end. `lost` is of this life, `lost_by_name` of all that had its name."""

    at: Id
    lag: int = 0
    oldest: Id | None = None
    lost: int = 0
    lost_by_name: int = 0
    is_moved: bool = False
    """Its position, or the stream's last id, was set by hand: losses need not be known then."""
    server_lag: int | None = None
    is_told: bool = False
    """Its ENTRIESREAD was given by hand: a first look cannot tell what had gone before from what has gone since."""
    is_forged: bool = False
    """What was given is not true, or the group was set beyond the stream's last id: it skips what is added below."""
    is_heir: bool = False
    """It took the name of a group that has ended: who did not look in between cannot tell the two apart."""
    is_unseen_heir: bool = False
    """That was in one step, so nobody looked in between."""


@dataclass
class StreamTruth:
    """One key: not there if `exists` is false."""

    exists: bool = False
    entries: list[Id] = field(default_factory=list)
    ever: list[Id] = field(default_factory=list)
    """All that was ever added."""
    last_generated: Id = (0, 0)
    groups: dict[str, GroupTruth] = field(default_factory=dict)
    is_forged: bool = False
    """Its counters were set by hand: who did not see that finds losses that there were none of."""
    gone: dict[str, int] = field(default_factory=dict)
    """What groups that have ended had lost, by name; with the end of a key, what they had not read."""

    def after(self, at: Id) -> list[Id]:
        """The entries behind a position."""
        return self.entries[bisect_right(self.entries, at) :]


LOOK = 3
"""Questions after a command, by which its effect is seen."""


def look(key: str) -> list[Command]:
    """The questions that tell what a stream is now."""
    return [("XRANGE", key, "-", "+"), ("XINFO", "STREAM", key), ("XINFO", "GROUPS", key)]


class World:
    """All streams of a history, kept true by `run`."""

    def __init__(self, wire: Wire, keys: list[str]) -> None:
        self._wire = wire
        self.streams = {key: StreamTruth() for key in keys}
        self._ended: str | None = None
        """The group that has ended in this step."""

    def run(self, key: str, commands: list[Command], *, at_once: bool = False) -> list[Any]:
        """Run commands on one stream, with a look after each (or after all, `at_once`, if none of them removes)."""
        self._ended = None
        if at_once:
            replies = self._wire.ask([*commands, *look(key)])
            self.streams[key].ever += [id_of(reply) for reply in replies[:-LOOK] if isinstance(reply, bytes)]
            self._learn(key, ("XADD",), None, replies[-LOOK:])
            return replies[:-LOOK]
        replies = self._wire.ask([each for command in commands for each in (command, *look(key))])
        step = 1 + LOOK
        for number, command in enumerate(commands):
            reply, *seen = replies[number * step : (number + 1) * step]
            self._learn(key, command, reply, seen)
        return replies[::step]

    def see(self, key: str) -> None:
        """Look again, as after an expiry."""
        self._learn(key, ("DEL",), None, self._wire.ask(look(key)))

    def _learn(self, key: str, command: Command, reply: Any, seen: list[Any]) -> None:
        stream = self.streams[key]
        entries, info, groups = seen
        if isinstance(info, Exception) or isinstance(groups, Exception):  # one of them, if it expired in between
            for name, group in stream.groups.items():
                stream.gone[name] = group.lost_by_name + group.lag
            self.streams[key] = StreamTruth(gone=stream.gone)
            return
        before = stream.entries
        stream.exists = True
        stream.is_forged |= command[0] == "XSETID" and "ENTRIESADDED" in command
        stream.entries = [id_of(row[0]) for row in entries]
        fields = dict(zip(info[::2], info[1::2], strict=True))
        stream.last_generated = id_of(fields[b"last-generated-id"])
        removed = set(before)
        if command[0] == "XADD" and isinstance(reply, bytes):
            stream.ever.append(id_of(reply))
            removed.add(stream.ever[-1])
        removed -= set(stream.entries)
        self._learn_groups(stream, command, groups, removed)

    def _learn_groups(self, stream: StreamTruth, command: Command, rows: list[Any], removed: set[Id]) -> None:
        by_name = {
            fields[b"name"].decode(): fields for fields in (dict(zip(r[::2], r[1::2], strict=True)) for r in rows)
        }
        for name in [name for name in stream.groups if name not in by_name]:
            stream.gone[name] = stream.groups.pop(name).lost_by_name
            self._ended = name
        for name, fields in by_name.items():
            group = stream.groups.get(name)
            at = id_of(fields[b"last-delivered-id"])
            if group is None:
                group = stream.groups[name] = GroupTruth(at, lost_by_name=stream.gone.get(name, 0))
                group.is_heir, group.is_unseen_heir = name in stream.gone, name == self._ended
            else:
                lost = sum(entry > group.at for entry in removed)
                group.lost += lost
                group.lost_by_name += lost
            group.at = at
            undelivered = stream.after(at)
            group.lag = len(undelivered)
            group.oldest = undelivered[0] if undelivered else None
            group.server_lag = fields.get(b"lag")
            if command[0] == "XSETID" or command[:2] == ("XGROUP", "SETID"):
                group.is_moved = True
            if command[0] == "XGROUP" and command[1] in ("CREATE", "SETID") and command[3] == name:
                group.is_told = "ENTRIESREAD" in command
                is_true = not group.is_told or command[-1] == bisect_right(stream.ever, at)
                group.is_forged = not is_true or at > stream.last_generated
