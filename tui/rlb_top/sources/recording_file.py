"""The file of a recording: JSON lines, the first with its version, each other a snapshot with its time.

    {"recording": 1, "version": "0.4.0", "source": "/run/rlb/rlb.sock"}
    {"at_s": 0.0, "snapshot": {...}}

It holds names, ids and numbers, never what a model wrote.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from rlb._version import __version__
from rlb.domain.snapshot import Snapshot

FORMAT = 1

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is none of a recording."""

MAX_FRAMES = 1_000_000
"""Frames that are found in a file; those after them are left out. At one a second that is eleven days."""

_HEAD = re.compile(rb'\{"at_s": ?(\d{1,12}(?:\.\d{1,9})?), ?"snapshot": ?')


class RecordingError(Exception):
    """The file is none that can be played or written; the message says why."""


class RecordingFile:
    """An open recording. Only the places of its frames are kept; each is read when it is shown.

    Raises:
        RecordingError: it cannot be opened, is no recording, is one of a later version, or has no frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times_s: list[float] = []
        """When each frame came, from the beginning; never falling."""
        self._places: list[tuple[int, int]] = []
        """Where the snapshot of each begins in the file, and its length in bytes."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path} cannot be opened: {error.strerror}") from None
        try:
            self.source = _source_of(path, self._file.readline(MAX_LINE_BYTES))
            self._find_frames()
        except BaseException:
            self._file.close()
            raise

    def _find_frames(self) -> None:
        place = self._file.tell()
        while len(self._places) < MAX_FRAMES and (line := self._file.readline(MAX_LINE_BYTES)):
            head = _HEAD.match(line)
            # The last line of a recorder that was killed may be torn: it has no end.
            if head is not None and line.endswith(b"}\n"):
                self.times_s.append(max(float(head[1]), self.times_s[-1] if self.times_s else 0.0))
                self._places.append((place + head.end(), len(line) - head.end() - len(b"}\n")))
            elif line.endswith(b"\n") and line.strip():
                raise RecordingError(f"{self.path}, line {len(self._places) + 2}: no frame of a recording")
            place += len(line)
        if not self._places:
            raise RecordingError(f"{self.path} holds no snapshot")

    def number_at(self, seconds: float) -> int:
        """The number of the frame that is shown so many seconds from the beginning."""
        return max(0, bisect_right(self.times_s, seconds) - 1)

    def frame(self, number: int) -> Snapshot:
        """One of the snapshots.

        Raises:
            RecordingError: it is none.
        """
        start, length = self._places[number]
        try:
            self._file.seek(start)
            return Snapshot.model_validate_json(self._file.read(length))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise RecordingError(f"{self.path}, line {number + 2}: {place}: {first['msg']}") from None
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror}") from None

    def close(self) -> None:
        self._file.close()


class RecordingWriter:
    """Writes a new recording; what was there before is not overwritten.

    Raises:
        RecordingError: the file is there already, or cannot be made.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        try:
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except FileExistsError:
            raise RecordingError(f"{path} is there already; name a new file") from None
        except OSError as error:
            raise RecordingError(f"{path} cannot be written: {error.strerror}") from None
        self._write(to_json({"recording": FORMAT, "version": __version__, "source": source}))

    def add(self, at_s: float, snapshot: Snapshot) -> None:
        """Add a frame.

        Raises:
            RecordingError: the disk is full, or gone; nothing can be added any more.
        """
        self._write(b'{"at_s": %.3f, "snapshot": %s}' % (at_s, snapshot.model_dump_json(by_alias=True).encode()))

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        self._file.close()


def _source_of(path: Path, line: bytes) -> str:
    """What the recording is of, by its first line."""
    try:
        head = from_json(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or not isinstance(head.get("recording"), int):
        raise RecordingError(f"{path} is no recording of rlb-top")
    if head["recording"] > FORMAT:
        raise RecordingError(f"{path} is of a later version ({head.get('version')}) of rlb-top")
    return str(head.get("source") or path.name)
