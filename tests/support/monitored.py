"""What a server is sent, as its MONITOR tells: commands with the kind of key that each is about, in scripts too."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self

import hiredis

from tests.servers.process import RedisServer

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CONTAINERS = frozenset(("acl", "client", "config", "memory", "script", "xgroup", "xinfo"))
_KEYLESS = frozenset(("auth", "client", "hello", "info", "ping", "scan", "select", "time", "wait", "waitaof"))


class Monitored:
    """Collects what a server is sent from `with` to the end of the block; denied commands are not among it."""

    def __init__(self, server: RedisServer, kinds: Mapping[str, Sequence[str]]) -> None:
        """`kinds` are the patterns of each kind of key; the first that fits counts."""
        self.seen: set[tuple[str, str]] = set()
        self._kinds = kinds
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(server.socket_path))
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._thread = threading.Thread(target=self._read, name="monitor")

    def __enter__(self) -> Self:
        self._socket.sendall(b"MONITOR\r\n")
        while self._reader.gets() is False:
            self._reader.feed(self._socket.recv(65536))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Only the other half: what is on its way still arrives, then the server hangs up.
        self._socket.shutdown(socket.SHUT_WR)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server does not hang up"
        self._socket.close()

    def _read(self) -> None:
        while received := self._socket.recv(1 << 20):
            self._reader.feed(received)
            while (line := self._reader.gets()) is not False:
                self._note([word.replace('\\"', '"') for word in _WORD.findall(line)])

    def _note(self, words: list[str]) -> None:
        name = words[0].lower()
        command = f"{name}|{words[1].lower()}" if name in _CONTAINERS else name
        for key in _keys(name, words):
            self.seen.add((command, self._kind(key)))

    def _kind(self, key: str | None) -> str:
        if key is None:
            return "none"
        fits = (kind for kind, patterns in self._kinds.items() if any(fnmatchcase(key, each) for each in patterns))
        return next(fits, f"another: {key}")


def _keys(name: str, words: list[str]) -> list[str | None]:
    """The keys that a command is about, [None] if it is about none. Of a script's the first: it says whose it is."""
    if name in _KEYLESS:
        return [None]
    if name.startswith("eval"):
        return [words[3]] if words[2] != "0" else [None]
    if name in {"xread", "xreadgroup"}:
        named = words[[word.lower() for word in words].index("streams") + 1 :]
        return list(named[: len(named) // 2])
    return [words[2 if name in _CONTAINERS else 1]]
