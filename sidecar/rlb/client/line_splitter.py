"""Framing without I/O: bytes in pieces to newline-delimited lines."""

from __future__ import annotations


class LineSplitter:
    """Splits newline-delimited bytes; a line that is half-way waits for its rest."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes, without their ends; empty ones are left out."""
        first, *rest = piece.split(b"\n")
        if not rest:
            self._held.append(piece)
            return []
        if self._held:
            first = b"".join((*self._held, first))
        self._held = [last] if (last := rest.pop()) else []
        return [line for line in (first, *rest) if line]
