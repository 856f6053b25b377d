"""Distributed tracing, if the standard `OTEL_*` variables ask for it. Without them nothing of it is even imported.

What a span stands for, and which attributes it has, is in `spans*.py`. What travels:

- An app gives its context with the first message of a generation: in the member `traceparent` (`tracestate`), or in
  the HTTP header of that name, which goes for all generations of the request. The member wins over the header.
- A sampled generation has a span of its own below the app's. Its entries carry the context of that span, so that a
  reader refers to the generation, and by way of it to the app: the first and the last entry, every one or none
  (`RLB_TRACE__INJECT`). An entry for which the app itself has sent a context carries the generation's instead, unless
  that is `off`.
- A generation that is not sampled, or any while tracing is off, passes the app's context on as it came: with the
  messages that had it, and for a header with the first and last message of each generation.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Protocol

from rlb.bridge.tracer import Tracer
from rlb.settings import Settings
from rlb.telemetry.otel_variables import tracing_settings
from rlb.telemetry.registry import Registry

_log = logging.getLogger("rlb.tracing")


class Tracing(Tracer, Protocol):
    """Tracing that is on."""

    def start(self) -> None:
        """Begin to look for abandoned generations."""

    async def close(self) -> None:
        """End and send all spans, within a few seconds; to be called behind the end of everything that is traced."""

    def lifecycle(self, name: str, began_ns: int, **counts: int) -> None:
        """A start or an end of the sidecar is over; it began at that Unix time in ns."""


def open_tracing(
    settings: Settings,
    registry: Registry,
    resource: Mapping[str, str],
    redis_url: str | None,
    environ: Mapping[str, str] = os.environ,
) -> Tracing | None:
    """Tracing as the environment asks for it, or None. Call it in a running loop.

    Args:
        settings: of the sidecar.
        registry: counts the exports.
        resource: who this sidecar is.
        redis_url: of the Redis that is used, which an embedded one has in no setting; only its address is kept.
        environ: the variables; those about the connection are read from the process's own in any case.
    """
    tracing = tracing_settings(environ)
    if tracing is None:
        return None
    # OpenTelemetry and gRPC take a while to import, and memory: who does not trace does not pay.
    from rlb.telemetry.tracing_session import TracingSession

    _log.info("tracing.on", extra={"protocol": tracing.protocol, "sampler": tracing.sampler, "ratio": tracing.ratio})
    return TracingSession(settings, tracing, resource, registry, redis_url)
