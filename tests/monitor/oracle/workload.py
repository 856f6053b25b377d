"""Random histories: each step is a few commands on one stream, chosen by a profile's weights and a seed."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.monitor.oracle.profiles import Profile
from tests.monitor.oracle.truth import Id, StreamTruth, World, id_of, text
from tests.monitor.oracle.wire import Command

CONSUMERS = ("c-0", "c-1", "c-2")
EXPIRY_MS = 2
FIELD = ("data", "x")
SHOWN = 4
"""Commands of a step that are shown when it is told."""


@dataclass(frozen=True)
class Step:
    """Commands on one stream, after all of which it is looked at. `at_once`: none of them removes an entry."""

    name: str
    key: str
    commands: list[Command]
    at_once: bool = False

    def __str__(self) -> str:
        shown = [" ".join(str(word) for word in command) for command in self.commands]
        if len(shown) > SHOWN:
            shown = [*shown[: SHOWN - 1], f"... {len(shown) - SHOWN} more ...", shown[-1]]
        return f"{self.name}: " + " | ".join(shown)


def take(world: World, step: Step) -> list[Any]:
    """Have a step happen: the replies."""
    replies = world.run(step.key, step.commands, at_once=step.at_once)
    if step.name == "expire":
        until_s = time.monotonic() + 10
        while world.streams[step.key].exists:
            assert time.monotonic() < until_s, f"{step.key} does not expire"
            time.sleep(EXPIRY_MS / 1000)
            world.see(step.key)
    return replies


class Workload:
    """A source of steps. What it does next depends on its seed and on the streams as they are."""

    def __init__(self, world: World, profile: Profile, version: tuple[int, int, int], seed: int) -> None:
        self._world = world
        self._profile = profile
        self._has_entries_read = version >= (7, 0, 0)
        self._random = random.Random(seed)
        self._names = list(profile.weights)
        self._weights = list(profile.weights.values())
        self._delivered: dict[tuple[str, str], list[Id]] = {}
        self._styles: dict[str, str] = {}

    def step(self) -> Step:
        """Take the next step and give what it was, with the ids that Redis chose."""
        key = self._random.choice(list(self._world.streams))
        stream = self._world.streams[key]
        (name,) = self._random.choices(self._names, self._weights)
        if not stream.exists:
            self._delivered = {place: ids for place, ids in self._delivered.items() if place[0] != key}
            self._styles[key] = self._random.choice(("rlb", "star", "small", "mixed"))
            name = "create" if self._random.random() < 0.4 else "add"
        elif not stream.groups:
            name = "create"
        make: Callable[[str, StreamTruth], list[Command]] = getattr(self, f"_{name}")
        commands = make(key, stream)
        is_at_once = name == "add_many"
        step = Step(name, key, commands, is_at_once)
        replies = take(self._world, step)
        return Step(name, key, self._learn(key, commands, replies), is_at_once)

    def _learn(self, key: str, commands: list[Command], replies: list[Any]) -> list[Command]:
        """Note what was added and delivered; the commands with the ids that Redis gave."""
        resolved = []
        for command, reply in zip(commands, replies, strict=True):
            known = command
            if command[0] == "XADD" and isinstance(reply, bytes):
                known = tuple(reply.decode() if word == "*" else word for word in command)
            elif command[0] == "XREADGROUP" and isinstance(reply, list):
                ids = [id_of(row[0]) for row in reply[0][1]]
                self._delivered.setdefault((key, str(command[2])), []).extend(ids)
            resolved.append(known)
        return resolved

    # What a step can be. Each gives commands that are valid most of the time; an error from Redis is a history too.

    def _add(self, key: str, stream: StreamTruth, *bounds: str | int) -> list[Command]:
        commands: list[Command] = []
        last = stream.last_generated
        for _ in range(self._random.randint(1, self._profile.adds)):
            last, name = self._next_id(key, last)
            commands.append(("XADD", key, *bounds, name, *FIELD))
        return commands

    def _next_id(self, key: str, last: Id) -> tuple[Id, str]:
        """An id above the last one, in the stream's style: of rlb, of Redis, or of somebody who counts."""
        style = self._styles.get(key, "rlb")
        if style == "mixed":
            style = self._random.choice(("rlb", "star", "small"))
        now_ms = time.time_ns() // 1_000_000
        if style == "star":
            return max(last, (now_ms, 0)), "*"
        if style == "rlb":
            chosen = (max(now_ms - 1, last[0]), last[1] + 1)
        else:
            further = self._random.randint(0, 3)
            chosen = (last[0] + further, last[1] + 1 if further == 0 else self._random.randint(0, 2))
        return chosen, text(chosen)

    def _add_many(self, key: str, stream: StreamTruth) -> list[Command]:
        if len(stream.entries) > 1.5 * self._profile.cap:
            return self._trim(key, stream)
        return self._add(key, stream)

    def _add_capped(self, key: str, stream: StreamTruth) -> list[Command]:
        return self._add(key, stream, *self._bound(stream))

    def _bound(self, stream: StreamTruth) -> tuple[str | int, ...]:
        """A MAXLEN or MINID, exact or approximate; seldom one that leaves little or nothing."""
        how = self._random.choice(("=", "~"))
        if self._random.random() < 0.7 or not stream.entries:
            most = self._random.choice((self._profile.cap, self._profile.cap // 2))
            if self._random.random() < 0.05:
                most = self._random.randint(0, 3)
            return "MAXLEN", how, most
        at = min(len(stream.entries) - 1, int(len(stream.entries) * self._random.random() ** 2))
        return "MINID", how, text(stream.entries[at])

    def _trim(self, key: str, stream: StreamTruth) -> list[Command]:
        return [("XTRIM", key, *self._bound(stream))]

    def _group(self, stream: StreamTruth) -> str:
        return self._random.choice(list(stream.groups))

    def _read(self, key: str, stream: StreamTruth) -> list[Command]:
        acks = ("NOACK",) if self._random.random() < 0.1 else ()
        most = self._random.randint(1, self._profile.reads)
        consumer = self._random.choice(CONSUMERS)
        who = ("GROUP", self._group(stream), consumer)
        # "GROUP" must be the second word, the group the third: `_learn` reads it from there.
        return [("XREADGROUP", *who, "COUNT", most, *acks, "STREAMS", key, ">")]

    def _some_delivered(self, key: str, group: str) -> list[Id]:
        ids = self._delivered.get((key, group), [])
        taken = min(len(ids), self._random.randint(1, 6))
        chosen = [ids.pop(0) for _ in range(taken)] if self._random.random() < 0.8 else []
        return chosen or ids[-1:]

    def _ack(self, key: str, stream: StreamTruth) -> list[Command]:
        group = self._group(stream)
        ids = self._some_delivered(key, group)
        return [("XACK", key, group, *map(text, ids))] if ids else self._read(key, stream)

    def _ack_delete(self, key: str, stream: StreamTruth) -> list[Command]:
        group = self._group(stream)
        # What every group was handed: who deletes after reading has no reader behind it, or it would be data loss.
        slowest = min(each.at for each in stream.groups.values())
        ids = [entry for entry in self._some_delivered(key, group) if entry <= slowest]
        if not ids:
            return self._read(key, stream)
        names = tuple(map(text, ids))
        return [("XACK", key, group, *names), ("XDEL", key, *names)]

    def _xdel(self, key: str, stream: StreamTruth) -> list[Command]:
        if not stream.entries:
            return self._add(key, stream)
        at = stream.groups[self._group(stream)].at
        where = self._random.choice(("behind", "at", "ahead", "newest", "first", "any", "all ahead"))
        behind = [entry for entry in stream.entries if entry < at]
        ahead = stream.after(at)
        choices = {
            "behind": behind,
            "at": [at],
            "ahead": ahead,
            "newest": stream.entries[-1:],
            "first": stream.entries[:1],
            "any": stream.entries,
        }
        if where == "all ahead":
            chosen = ahead if self._random.random() < 0.3 else ahead[:1]
        else:
            pool = choices[where] or stream.entries
            chosen = self._random.sample(pool, min(len(pool), self._random.randint(1, 3)))
        return [("XDEL", key, *map(text, chosen or stream.entries[-1:]))]

    def _middle(self, stream: StreamTruth) -> Id:
        """An id anywhere: of an entry, between two, before all; where things are invented, beyond all."""
        if not stream.entries or (self._profile.invents and self._random.random() < 0.1):
            ms, seq = stream.last_generated
            further = self._random.randint(0, 2) if self._profile.invents else 0
            return (ms + further, seq + further)
        ms, seq = self._random.choice(stream.entries)
        near = ((ms, seq), (ms, seq + 1), (ms, max(0, seq - 1)), (max(0, ms - 1), seq))
        return min(self._random.choice(near), stream.last_generated)

    def _start(self, key: str, stream: StreamTruth) -> tuple[str | int, ...]:
        """Where a group begins or is moved to, with ENTRIESREAD now and then: right, or of somebody's invention."""
        where = self._random.choice(("0", "$", "middle"))
        at: Id = {"0": (0, 0), "$": stream.last_generated}.get(where) or self._middle(stream)
        name = text(at) if where == "middle" else where
        if not self._has_entries_read or self._random.random() < 0.6:
            return (name,)
        read = bisect_right(stream.ever, at)
        if self._profile.invents and self._random.random() < 0.25:
            read = self._random.randint(0, 200)
        return name, "ENTRIESREAD", read

    def _create(self, key: str, stream: StreamTruth) -> list[Command]:
        free = [f"g-{number}" for number in range(self._profile.groups) if f"g-{number}" not in stream.groups]
        if not free:
            return self._read(key, stream)
        name, *read = self._start(key, stream)
        return [("XGROUP", "CREATE", key, free[0], name, "MKSTREAM", *read)]

    def _setid(self, key: str, stream: StreamTruth) -> list[Command]:
        return [("XGROUP", "SETID", key, self._group(stream), *self._start(key, stream))]

    def _xsetid(self, key: str, stream: StreamTruth) -> list[Command]:
        ms, seq = stream.last_generated
        last = text((ms + self._random.randint(0, 2), seq + self._random.randint(0, 3)))
        if not self._has_entries_read or not self._profile.invents or self._random.random() < 0.5:
            return [("XSETID", key, last)]
        # As a restore from a dump does, with counters that may be another's.
        added = len(stream.ever) + self._random.choice((0, 0, self._random.randint(-5, 50)))
        deleted = self._random.choice(((0, 0), self._middle(stream)))
        return [("XSETID", key, last, "ENTRIESADDED", max(0, added), "MAXDELETEDID", text(deleted))]

    def _destroy(self, key: str, stream: StreamTruth) -> list[Command]:
        group = self._group(stream)
        self._delivered.pop((key, group), None)
        return [("XGROUP", "DESTROY", key, group)]

    def _recreate(self, key: str, stream: StreamTruth) -> list[Command]:
        """The same name again, before anyone looks."""
        group = self._group(stream)
        self._delivered.pop((key, group), None)
        return [("XGROUP", "DESTROY", key, group), ("XGROUP", "CREATE", key, group, *self._start(key, stream))]

    def _delete(self, key: str, stream: StreamTruth) -> list[Command]:
        return [("DEL", key)]

    def _expire(self, key: str, stream: StreamTruth) -> list[Command]:
        return [("PEXPIRE", key, EXPIRY_MS)]

    def _claim(self, key: str, stream: StreamTruth) -> list[Command]:
        group, consumer = self._group(stream), self._random.choice(CONSUMERS)
        ids = self._delivered.get((key, group), [])
        if ids and self._random.random() < 0.5:
            return [("XCLAIM", key, group, consumer, 0, text(self._random.choice(ids)))]
        return [("XAUTOCLAIM", key, group, consumer, 0, "0", "COUNT", 5)]

    def _consumers(self, key: str, stream: StreamTruth) -> list[Command]:
        does = self._random.choice(("CREATECONSUMER", "DELCONSUMER"))
        return [("XGROUP", does, key, self._group(stream), self._random.choice(CONSUMERS))]
