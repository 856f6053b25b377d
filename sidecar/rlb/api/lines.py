"""Framing without I/O: bytes in pieces to lines, and to the events of an event stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TooLong:
    """Stands in for a line that was over the limit and has been passed over."""

    size: int


class LineSplitter:
    """Splits newline-delimited bytes; holds at most `limit_bytes` of an unfinished line."""

    __slots__ = ("_held", "_limit", "_size", "_skipping")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        # One buffer and not the pieces themselves: a peer that sends two bytes at a time would make them cost 20 times
        # their size.
        self._held = bytearray()
        self._size = 0
        self._skipping = False

    @property
    def is_between_lines(self) -> bool:
        """Whether no line is half-way."""
        return self._size == 0

    def feed(self, piece: bytes) -> list[bytes | TooLong]:
        """The lines that `piece` completes, without their ends; blank ones are left out."""
        if b"\n" not in piece:
            self._hold(piece)
            return []
        *whole, last = piece.split(b"\n")
        lines: list[bytes | TooLong] = []
        if self._size:
            self._hold(whole.pop(0))
            lines = self.finish()
        limit = self._limit
        lines += [
            line if len(line) <= limit else TooLong(len(line))
            for line in whole
            if line and not (line.isspace() and len(line) <= limit)
        ]
        self._hold(last)
        return lines

    def finish(self) -> list[bytes | TooLong]:
        """The line that is half-way, taken as complete."""
        size, self._size = self._size, 0
        if self._skipping:
            self._skipping = False
            return [TooLong(size)]
        line = bytes(self._held)
        self._held.clear()
        return [line] if line and not line.isspace() else []

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._size += len(piece)
        if self._skipping:
            return
        if self._size > self._limit:
            self._skipping = True
            self._held.clear()
        else:
            self._held += piece


class EventSplitter:
    """Takes the data out of an event stream in which every event is one `data:` line, as LLM servers send it.

    Other fields and comments of the format (WHATWG HTML, section 9.2) are passed over.
    """

    __slots__ = ("_lines",)

    def __init__(self, limit_bytes: int) -> None:
        self._lines = LineSplitter(limit_bytes)

    @property
    def is_between_lines(self) -> bool:
        """Whether no line is half-way."""
        return self._lines.is_between_lines

    def feed(self, piece: bytes) -> list[bytes | TooLong]:
        """The data of the events in `piece`."""
        return _data_of(self._lines.feed(piece))

    def finish(self) -> list[bytes | TooLong]:
        """The data of the line that is half-way, taken as complete."""
        return _data_of(self._lines.finish())


def _data_of(lines: list[bytes | TooLong]) -> list[bytes | TooLong]:
    found: list[bytes | TooLong] = []
    for line in lines:
        if isinstance(line, TooLong):
            found.append(line)
        elif line.startswith(b"data:"):
            found.append(line[5:].strip())
    return found
