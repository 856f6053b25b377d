"""An OTLP collector for tests: a real gRPC server, or an HTTP one, that keeps the spans and metrics it was sent."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1 import trace_pb2

PATIENCE_S = 15.0

TracesRequest = trace_service_pb2.ExportTraceServiceRequest
MetricsRequest = metrics_service_pb2.ExportMetricsServiceRequest


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a dict of plain values."""
    return {pair.key: _value(pair.value) for pair in pairs}


@dataclass(frozen=True)
class Link:
    """A link of a span; ids in hex."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Event:
    """An event of a span."""

    name: str
    at_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """A span as it came over the wire; ids in hex, `parent_id` empty for a root. `status` is UNSET, OK or ERROR."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    status: str
    status_message: str
    trace_state: str
    attributes: dict[str, Any]
    links: tuple[Link, ...]
    events: tuple[Event, ...]
    resource: dict[str, Any]
    scope: str
    schema_url: str


def _span(span: trace_pb2.Span, resource: dict[str, Any], scope: trace_pb2.ScopeSpans) -> Span:
    return Span(
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_message=span.status.message,
        trace_state=span.trace_state,
        attributes=attributes_of(span.attributes),
        links=tuple(
            Link(each.trace_id.hex(), each.span_id.hex(), attributes_of(each.attributes)) for each in span.links
        ),
        events=tuple(Event(each.name, each.time_unix_nano, attributes_of(each.attributes)) for each in span.events),
        resource=resource,
        scope=scope.scope.name,
        schema_url=scope.schema_url,
    )


class Collector:
    """A collector that listens on loopback from `with` to the end of the block.

    With `fails`, every export is refused in a way that exporters do not try again.
    """

    endpoint: str
    """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    def __init__(self, protocol: Literal["grpc", "http/protobuf"] = "grpc", *, fails: bool = False) -> None:
        self.protocol = protocol
        self.fails = fails
        self.traces: list[TracesRequest] = []
        self.metric_requests: list[MetricsRequest] = []
        self._lock = threading.Lock()
        self._stop = ExitStack()

    @property
    def environment(self) -> dict[str, str]:
        """The standard variables that point an exporter here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol}

    @property
    def spans(self) -> list[Span]:
        """Every span that has come, in the order in which they came."""
        with self._lock:
            requests = list(self.traces)
        found = []
        for request in requests:
            for resource in request.resource_spans:
                about = attributes_of(resource.resource.attributes)
                for scope in resource.scope_spans:
                    found += [_span(span, about, scope) for span in scope.spans]
        return found

    @property
    def metrics(self) -> list[Metric]:
        """Every metric that has come, once for each export."""
        with self._lock:
            requests = list(self.metric_requests)
        return [
            metric
            for request in requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def named(self, beginning: str) -> list[Span]:
        """The spans whose name begins so."""
        return [span for span in self.spans if span.name.startswith(beginning)]

    def until(self, holds: Callable[[Collector], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait, blocking, until the condition holds."""
        until_s = time.monotonic() + timeout_s
        while not holds(self):
            assert time.monotonic() < until_s, f"has {[span.name for span in self.spans]}, {len(self.metrics)} metrics"
            time.sleep(0.01)

    def take(self, request: TracesRequest | MetricsRequest) -> None:
        """Keep what an exporter sent."""
        with self._lock:
            if isinstance(request, TracesRequest):
                self.traces.append(request)
            else:
                self.metric_requests.append(request)

    def __enter__(self) -> Self:
        self.endpoint = self._serve_grpc() if self.protocol == "grpc" else self._serve_http()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.close()

    def _serve_grpc(self) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Traces(self), server)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(self), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._stop.callback(lambda: server.stop(0).wait(PATIENCE_S))
        return f"http://127.0.0.1:{port}"

    def _serve_http(self) -> str:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                kinds = {"/v1/traces": TracesRequest, "/v1/metrics": MetricsRequest}
                kind = kinds.get(self.path)
                if kind is not None and not collector.fails:
                    collector.take(kind.FromString(body))
                self.send_response(404 if kind is None else 400 if collector.fails else 200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="otlp over http")
        thread.start()
        self._stop.callback(server.server_close)
        self._stop.callback(thread.join, PATIENCE_S)
        self._stop.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}"


def _refuse(context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused by the test")


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(  # noqa: N802 - the service's name
        self, request: TracesRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        if self._collector.fails:
            _refuse(context)
        self._collector.take(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(  # noqa: N802 - the service's name
        self, request: MetricsRequest, context: grpc.ServicerContext
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        if self._collector.fails:
            _refuse(context)
        self._collector.take(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()
