"""A blocking connection that pipelines: a history has many thousand commands, each followed by a look."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import hiredis

from tests.servers.process import RedisServer

Word = bytes | str | int
Command = tuple[Word, ...]


class Wire:
    """One connection to a server; errors come back as values, in their place."""

    def __init__(self, server: RedisServer) -> None:
        self._path = str(server.socket_path)
        self._reader = hiredis.Reader()

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to a pipeline of commands."""
        self._socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is False:
                received = self._socket.recv(1 << 20)
                if not received:
                    raise ConnectionError("the server closed the connection")
                self._reader.feed(received)
            else:
                replies.append(reply)
        return replies
