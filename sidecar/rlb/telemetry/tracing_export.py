"""From ended spans to OTLP: the sampler, the bounded queue, the exporter and its thread. Imported only to trace.

Nothing here is OpenTelemetry's global provider: a library that instruments itself is not switched on by it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanKind,
    Tracer,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes

from rlb._version import __version__
from rlb.telemetry.otel_variables import Protocol, TracingSettings
from rlb.telemetry.otlp_cause import quiet_exporters
from rlb.telemetry.otlp_log import ExportLog
from rlb.telemetry.registry import Registry
from rlb.telemetry.resource import SCHEMA_URL

SCOPE = "rlb"

LIFECYCLE = "rlb."
"""What the names of the spans of a start and an end begin with; they are so few that each is worth a trace."""

GLANCE_S = 0.1
"""How often the end looks whether there is still hope for the last spans."""

_log = logging.getLogger("rlb.tracing")


class Export:
    """A tracer, and the way of its spans to the collector. Spans end in the event loop and are sent in a thread."""

    def __init__(self, settings: TracingSettings, resource: Mapping[str, str], registry: Registry) -> None:
        self._exporter = _CountingExporter(_exporter(settings.protocol), registry)
        processor = _BoundedProcessor(self._exporter, settings, registry)
        self._provider = TracerProvider(
            sampler=FollowingSampler(settings),
            resource=Resource(dict(resource), SCHEMA_URL),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self.tracer: Tracer = self._provider.get_tracer(SCOPE, __version__, SCHEMA_URL)

    def close(self, timeout_s: float) -> None:
        """Send what is left, blocking, for at most about `timeout_s`; what a collector does not take then is lost.

        A collector that takes nothing is not waited for.
        """
        # The provider's own end waits for half a minute if nobody listens, and cannot be told otherwise.
        closing = threading.Thread(target=self._provider.shutdown, name="rlb tracing end", daemon=True)
        closing.start()
        began_s = time.monotonic()
        while closing.is_alive() and (left_s := began_s + timeout_s - time.monotonic()) > 0:
            is_hopeless = self._exporter.is_failing
            closing.join(min(left_s, GLANCE_S))
            if is_hopeless:
                break
        if closing.is_alive():
            _log.warning("tracing.spans_lost", extra={"waited_s": round(time.monotonic() - began_s, 3)})
            self._exporter.shutdown()


class FollowingSampler(Sampler):
    """The configured sampler, but what refers to a sampled generation is decided as if it were part of its trace.

    A read of many generations is a root span with links. Left to a ratio, it would nearly never be there to show how
    a sampled generation reached its readers.
    """

    def __init__(self, settings: TracingSettings) -> None:
        root = {
            "on": ALWAYS_ON,
            "off": ALWAYS_OFF,
            "ratio": TraceIdRatioBased(settings.ratio),
        }[settings.sampler.removeprefix("parentbased_").removeprefix("always_").removeprefix("traceid")]
        self._has_roots = root is not ALWAYS_OFF
        self._sampler = ParentBased(root) if settings.sampler.startswith("parentbased_") else root

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """OpenTelemetry's question about a new span."""
        if name.startswith(LIFECYCLE) and self._has_roots:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        if links and not get_current_span(parent_context).get_span_context().is_valid:
            followed = links[0].context
            context = set_span_in_context(NonRecordingSpan(followed), Context())
            result = self._sampler.should_sample(context, followed.trace_id, name, kind, attributes, links)
            return SamplingResult(result.decision, attributes)
        return self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """For who prints it."""
        return f"Following{{{self._sampler.get_description()}}}"


class _CountingExporter(SpanExporter):
    """Counts exports by their outcome. Is called in the exporting thread alone."""

    def __init__(self, exporter: SpanExporter, registry: Registry) -> None:
        self.taken = 0
        """Spans that have left the queue."""
        self._exporter = exporter
        self._log = ExportLog("traces", registry)

    @property
    def is_failing(self) -> bool:
        """Whether the collector takes nothing, as far as is known."""
        return self._log.is_failing

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans; blocks, and tries again for as long as OTEL_EXPORTER_OTLP_TIMEOUT says."""
        self.taken += len(spans)
        self._log.begin()
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            self._log.failed(type(error).__name__)
            raise
        if result is SpanExportResult.SUCCESS:
            self._log.ok()
        else:
            self._log.failed()
        return result

    def shutdown(self) -> None:
        """Give up what is being sent, and send no more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)


class _BoundedProcessor(SpanProcessor):
    """OpenTelemetry's batches, behind a bound that counts what it keeps out.

    The batch processor has a bound of its own, but drops without a number, and logs.
    """

    def __init__(self, exporter: _CountingExporter, settings: TracingSettings, registry: Registry) -> None:
        self._exporter = exporter
        self._queue = settings.queue
        self._given = 0
        self._dropped = registry.counter("rlb.otlp.exports", signal="traces", outcome="dropped")
        self._batches = BatchSpanProcessor(
            exporter,
            # Spans that are being sent still count above, as they do not here.
            max_queue_size=settings.queue + settings.batch,
            schedule_delay_millis=settings.delay_ms,
            max_export_batch_size=settings.batch,
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do before the end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue an ended span, or drop it."""
        if self._given - self._exporter.taken >= self._queue:
            self._dropped.value += 1
            return
        self._given += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        """Send what waits; blocks."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits; blocks."""
        return self._batches.force_flush(timeout_millis)


def _exporter(protocol: Protocol) -> SpanExporter:
    """The exporter, which reads its endpoint and the like from the environment."""
    quiet_exporters()
    # One of them is enough, and gRPC takes long to import.
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter()
