"""Why an export fails, from what OpenTelemetry's exporters log: what they return is only that it has.

They log addresses, and words of the collector's own, which may hold anything. So nothing of a record is passed on:
what is recognised in it is told in words from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from threading import local

_WORDS = {
    "connection refused": "connection refused",
    "connection reset": "connection reset",
    "broken pipe": "connection reset",
    "socket closed": "connection reset",
    "no route to host": "no route to host",
    "network is unreachable": "network unreachable",
    "name or service not known": "no such host",
    "name resolution": "no such host",
    "dns resolution": "no such host",
    "certificate verify failed": "bad certificate",
    "certificate_verify_failed": "bad certificate",
    "handshake failed": "no TLS",
    "timed out": "timeout",
}
"""What is looked for, and what it is called; the first that is found counts."""

_PHRASES = {status.phrase: status.value for status in HTTPStatus}

_exporting = local()
"""`note`: takes the causes of the export that runs in this thread."""


def note_causes(note: Callable[[str], None]) -> None:
    """Tell the causes of all exports of this thread from now on; of one that is tried again, before it has failed."""
    _exporting.note = note


def quiet_exporters() -> None:
    """Keep the exporters' own log out of ours: they log every failed export, with addresses; we log the change."""
    logger = logging.getLogger("opentelemetry.exporter")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers = [_Causes()]


class _Causes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note: Callable[[str], None] | None = getattr(_exporting, "note", None)
        if note is not None and isinstance(record.args, tuple) and (cause := cause_of(record.args)) is not None:
            note(cause)


def cause_of(arguments: tuple[object, ...]) -> str | None:
    """What a record with these arguments says of the cause; None if nothing that is known."""
    found: list[str] = []
    text = ""
    for argument in arguments:
        if isinstance(argument, Enum):  # of gRPC
            if argument.name != "CANCELLED":  # that is our own end
                found.append(argument.name.lower())
        elif isinstance(argument, int) and 300 <= argument < 600:
            found.append(f"HTTP status {argument}")
        elif isinstance(argument, str) and argument in _PHRASES:
            found.append(f"HTTP status {_PHRASES[argument]}")
        elif isinstance(argument, str | Exception):
            text += f" {argument}".lower()
            if isinstance(argument, Exception):
                found.append(type(argument).__name__)
    words = next((said for sought, said in _WORDS.items() if sought in text), None)
    return ": ".join([*dict.fromkeys(found), *([words] if words is not None else [])]) or None
