"""Trace contexts as they travel: the W3C `traceparent` and `tracestate`, in headers, in messages and in entries.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass

MAX_STATE_CHARACTERS = 512
"""Longest `tracestate` that is passed on, which is as much as the standard asks for; a longer one is dropped."""

MAX_STATE_MEMBERS = 32

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = r"[a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13}"
_VALUE = r"[ !-+\--<>-~]{0,255}[!-+\--<>-~]"
_MEMBER = re.compile(rf"(?:{_KEY})={_VALUE}", re.ASCII)

_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span that others may refer to. Ids are in lower-case hexadecimal; `state` is what vendors add, as it came."""

    trace_id: str
    span_id: str
    flags: int
    state: str | None = None

    @property
    def is_sampled(self) -> bool:
        """Whether the caller records this trace."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> str:
        """The context as version 00 writes it, without its state."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parse_trace_context(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """Read a context, or None where there is none: a broken one is no context, and no reason to refuse a message.

    A version later than 00 may carry more behind its flags, which is left out.
    """
    match = _PARENT.fullmatch(traceparent) if traceparent is not None else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16), parse_trace_state(tracestate))


def parse_trace_state(text: str | None) -> str | None:
    """A `tracestate` that may be passed on, or None: one broken member spoils the whole, as the standard has it."""
    if not text or len(text) > MAX_STATE_CHARACTERS:
        return None
    members = [member.strip(" \t") for member in text.split(",")]
    given = [member for member in members if member]
    keys = {member.partition("=")[0] for member in given}
    if not given or len(members) > MAX_STATE_MEMBERS or len(keys) < len(given):
        return None
    return ",".join(given) if all(map(_MEMBER.fullmatch, given)) else None


current_trace: ContextVar[TraceContext | None] = ContextVar("current_trace", default=None)
"""The trace that the current task works for, which logs name."""
