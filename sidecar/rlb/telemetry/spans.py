"""What all spans of the sidecar have in common: names, constant attributes, and how a span that is over is made.

Attributes are those of the OpenTelemetry semantic conventions 1.44 (messaging) and of gen_ai; `rlb.*` are ours.
`messaging.system` is `redis`, which the conventions do not list: a destination is a Redis Stream, a consumer group
one of Redis. No span ever carries a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from rlb.telemetry.propagation import below

MAX_LINKS = 128
"""Links of one span; further generations of the same write or read are left out."""

REDIS_PORT = 6379

Attributes = Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Destination:
    """The streams, as spans name them, and the server that they are on."""

    template: str
    """`llm:stream:{session}:{model}`, with the prefix that is set."""
    server: Attributes


def destination(prefix: str, redis_url: str | None) -> Destination:
    """The destination of all messages; of the URL, nothing but host and port, or the socket's path, is kept."""
    return Destination(f"{prefix}:{{session}}:{{model}}", server_attributes(redis_url))


def server_attributes(redis_url: str | None) -> Attributes:
    """`server.address` and `server.port` of the first server that a URL names."""
    url = urlsplit(redis_url or "")
    if url.scheme == "unix":
        return {"server.address": unquote(url.path)}
    hosts = url.netloc.rpartition("@")[2]
    first = urlsplit(f"//{hosts.partition(',')[0]}")
    if not first.hostname:
        return {}
    return {"server.address": first.hostname, "server.port": first.port or REDIS_PORT}


@dataclass(frozen=True, slots=True)
class Operation:
    """A messaging operation: what Redis is asked for, and what that is to the conventions."""

    name: str
    type: str


SEND = Operation("XADD", "send")
RECEIVE = Operation("XREADGROUP", "receive")
CLAIM = Operation("XCLAIM", "receive")
SETTLE = Operation("XACK", "settle")


class Spans:
    """Makes spans."""

    def __init__(self, tracer: Tracer, where: Destination) -> None:
        self.tracer = tracer
        self.template = where.template
        self._constants = {
            operation.name: {
                "messaging.system": "redis",
                "messaging.operation.name": operation.name,
                "messaging.operation.type": operation.type,
                "messaging.destination.template": where.template,
                **where.server,
            }
            for operation in (SEND, RECEIVE, CLAIM, SETTLE)
        }

    def over(
        self,
        operation: Operation,
        kind: SpanKind,
        attributes: Attributes,
        *,
        began_ns: int,
        ended_ns: int,
        parent: SpanContext | None = None,
        links: Sequence[Link] = (),
        error: str | None = None,
    ) -> SpanContext:
        """Make the span of an operation that is over; times are Unix time in ns. Gives what others may refer to."""
        span = self.tracer.start_span(
            f"{operation.name} {self.template}",
            below(parent),
            kind,
            {**self._constants[operation.name], **attributes},
            links[:MAX_LINKS],
            start_time=began_ns,
        )
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(StatusCode.ERROR)
        span.end(ended_ns)
        return span.get_span_context()
