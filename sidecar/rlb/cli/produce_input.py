"""What `rlb produce` may be given: which of three formats it is in, and the steps that lines and text make."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rlb.cli.token_cutter import TokenCutter

DECISION_BYTES = 64 * 1024
"""With this much of the input and no other sign it is text."""

_EVENT_FIELD = re.compile(rb"(?:event|id|retry):|:")
_EVENT_DATA = re.compile(rb"data:[ \t]*(?:\{|\[DONE\])")
_MEMBERS = {"token", "complete", "sessionId", "modelId"}


class Format(StrEnum):
    """How the input is to be read."""

    AUTO = "auto"
    TEXT = "text"
    NDJSON = "ndjson"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class Token:
    """A token to write."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The end of a generation; what follows is the next one."""

    reason: str


Step = Token | End


class InputError(ValueError):
    """The input cannot be read, or a line makes no step; the text says which one and why, without its content."""


def detect(head: bytes, *, is_all: bool) -> Format | None:
    """The format that the input begins with; None while that cannot be told.

    It is only NDJSON or an event stream when it is so beyond doubt: a model may well write JSON, or `data: `, as text.
    """
    if len(head) > DECISION_BYTES:
        is_all = True
    *whole_lines, last = head.split(b"\n")
    for line in whole_lines:
        if (form := _format_of(line.strip(), is_whole=True)) is not None:
            return form
    form = _format_of(last.strip(), is_whole=is_all)
    return Format.TEXT if form is None and is_all else form


def _format_of(line: bytes, *, is_whole: bool) -> Format | None:
    """What one line says; None for one that may come before others: a blank, or a comment or name of an event."""
    if line.startswith(b"{"):
        return (Format.NDJSON if _is_step(line) else Format.TEXT) if is_whole else None
    if _EVENT_DATA.match(line):
        return Format.OPENAI
    if not line or _EVENT_FIELD.match(line) or (not is_whole and _may_become_event(line)):
        return None
    return Format.TEXT


def _may_become_event(line: bytes) -> bool:
    if any(name.startswith(line) for name in (b"data:", b"event:", b"id:", b"retry:")):
        return True
    name, colon, value = line.partition(b":")
    return name == b"data" and bool(colon) and b"[DONE]".startswith(value.strip(b" \t"))


def _is_step(line: bytes) -> bool:
    try:
        members = json.loads(line)
    except ValueError:
        return False
    return isinstance(members, dict) and ("token" in members or "complete" in members)


class TextSteps:
    """Plain text, cut into tokens."""

    def __init__(self) -> None:
        self._cutter = TokenCutter()

    def feed(self, piece: bytes) -> Iterator[Step]:
        """The steps that a piece completes."""
        return _tokens(self._cutter.feed(piece))

    def pause(self) -> Iterator[Step]:
        """The steps that wait for more, now that none comes for a while."""
        return _tokens(self._cutter.pause())

    def finish(self) -> Iterator[Step]:
        """The last steps."""
        return _tokens(self._cutter.finish())


class LineSteps:
    """NDJSON: an object with `token` and, where a generation ends, `complete` on each line.

    The objects of the API, which name their stream, are taken if they name this one.
    """

    def __init__(self, session_id: str, model_id: str) -> None:
        self._stream = {"sessionId": session_id, "modelId": model_id}
        self._held = b""
        self._number = 0

    def feed(self, piece: bytes) -> Iterator[Step]:
        """The steps of the lines that a piece completes, one by one: those before a bad line are to be taken.

        Raises:
            InputError: a line makes none.
        """
        *lines, self._held = (self._held + piece).split(b"\n")
        for line in lines:
            yield from self._steps(line)

    def pause(self) -> Iterator[Step]:
        """Nothing: half a line is no step."""
        return iter(())

    def finish(self) -> Iterator[Step]:
        """The steps of a last line without an end.

        Raises:
            InputError: it makes none.
        """
        line, self._held = self._held, b""
        yield from self._steps(line)

    def _steps(self, line: bytes) -> list[Step]:
        self._number += 1
        if not line.strip():
            return []
        try:
            members = json.loads(line)
        except ValueError:
            raise self._refused("not JSON") from None
        if not isinstance(members, dict):
            raise self._refused('expected an object such as {"token": "Hi"}')
        return self._steps_of(members)

    def _steps_of(self, members: dict[str, Any]) -> list[Step]:
        if unknown := sorted(members.keys() - _MEMBERS):
            raise self._refused(f"unknown member {unknown[0][:40]!r}; expected token and complete")
        for name, value in self._stream.items():
            if members.get(name, value) != value:
                raise self._refused(f"{name} is not that of the command line")
        token, reason = members.get("token"), members.get("complete")
        if not isinstance(token, str | None) or not isinstance(reason, str | None):
            raise self._refused("expected text in token and complete")
        if token is None and reason is None:
            raise self._refused("expected token, complete or both")
        steps: list[Step] = [Token(token)] if token else []
        return [*steps, End(reason)] if reason else steps

    def _refused(self, why: str) -> InputError:
        return InputError(f"line {self._number}: {why}")


Steps = TextSteps | LineSteps


def _tokens(texts: list[str]) -> Iterator[Step]:
    return map(Token, texts)
