"""Standard input for a loop: bytes as they come, whether from a pipe, a terminal or a file."""

from __future__ import annotations

import asyncio
import os
import threading

from rlb.cli.produce_input import InputError

PIECE_BYTES = 64 * 1024
PIECES_AHEAD = 8
"""Pieces that may be read before they are asked for; then the one who writes has to wait."""


class Incoming:
    """Reads a file descriptor in a thread: of a regular file epoll knows nothing, and a read cannot be cancelled.

    The thread is a daemon, so that a command may end while nothing comes.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self._room = threading.Semaphore(PIECES_AHEAD)
        self._is_over = False
        threading.Thread(target=self._read, name="rlb input", daemon=True).start()

    async def next(self, timeout_s: float | None = None) -> bytes:
        """The next piece; empty at the end, and from then on.

        Raises:
            TimeoutError: none has come in time.
            InputError: the input cannot be read.
        """
        if self._is_over:
            return b""
        async with asyncio.timeout(timeout_s):
            piece = await self._pieces.get()
        self._room.release()
        if isinstance(piece, OSError):
            self._is_over = True
            raise InputError(piece.strerror or type(piece).__name__)
        self._is_over = not piece
        return piece

    def _read(self) -> None:
        piece: bytes | OSError = b"more to come"
        while piece and not isinstance(piece, OSError):
            self._room.acquire()
            try:
                piece = os.read(self._descriptor, PIECE_BYTES)
            except OSError as error:
                piece = error
            try:
                self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
            except RuntimeError:  # the loop is closed: nobody asks any more
                return
