"""Structured logs: an event name, then what it is about. Never what an app sent.

A line that is written for a request of a traced app, or about a generation that is traced, has the ids of its trace and
span, as OpenTelemetry names them in logs that are not its own: `trace_id` and `span_id`.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Literal

from rlb.domain.trace_context import current_trace

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _context(record: logging.LogRecord) -> dict[str, Any]:
    """What the event is about. A span that it names itself is closer to it than the request's."""
    context = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if "trace_id" not in context and (trace := current_trace.get()) is not None:
        context["trace_id"], context["span_id"] = trace.trace_id, trace.span_id
    return context


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (Unix seconds), `level`, `event`, and the event's own members."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_context(record),
        }
        if record.exc_info is not None and record.exc_info[0] is not None:
            # The text of a foreign exception may quote a command or a body: its type has to do.
            line["fault"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


class ConsoleFormatter(logging.Formatter):
    """For a person's eyes: time, level, event, then `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        clock = self.formatTime(record, "%H:%M:%S")
        context = " ".join(f"{name}={value}" for name, value in _context(record).items())
        return f"{clock} {record.levelname.lower():<7} {record.getMessage():<24} {context}".rstrip()


def configure_logs(level: str, form: Literal["json", "console"]) -> None:
    """Send the logs of the process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries log what they handle, payload and addresses among it.
    for name in ("asyncio", "redis", "uvicorn", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)
