"""What a vLLM beside the sidecar would say of the same requests: its metric names, on a port of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
INTERVAL = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
WHOLE = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60)


class ModelServer:
    """The metrics of one model server; closed by `close`."""

    def __init__(self, port: int) -> None:
        registry = CollectorRegistry()

        def of_model(kind: type, name: str, **more: object) -> object:
            return kind(f"vllm:{name}", name, ["model_name"], registry=registry, **more)

        self.running: Gauge = of_model(Gauge, "num_requests_running")
        self.waiting: Gauge = of_model(Gauge, "num_requests_waiting")
        self.cache: Gauge = of_model(Gauge, "kv_cache_usage_perc")
        self.tokens: Counter = of_model(Counter, "generation_tokens")
        self.first: Histogram = of_model(Histogram, "time_to_first_token_seconds", buckets=FIRST_TOKEN)
        self.interval: Histogram = of_model(Histogram, "inter_token_latency_seconds", buckets=INTERVAL)
        self.per_token: Histogram = of_model(Histogram, "time_per_output_token_seconds", buckets=INTERVAL)
        self.whole: Histogram = of_model(Histogram, "e2e_request_latency_seconds", buckets=WHOLE)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(registry))
        self._thread = threading.Thread(target=self._server.serve_forever, name="vllm")
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextlib.contextmanager
    def request(self, model: str) -> Iterator[Request]:
        """One request, from its arrival to its end."""
        began_s = time.monotonic()
        self.waiting.labels(model).inc(0)
        self.running.labels(model).inc()
        self.cache.labels(model).inc(0.03)
        try:
            yield Request(self, model, began_s)
        finally:
            self.running.labels(model).dec()
            self.cache.labels(model).dec(0.03)
            self.whole.labels(model).observe(time.monotonic() - began_s)


def _handler(registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    """Serves the metrics with the colons in their names, which the library's own server replaces."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", CONTENT_TYPE_LATEST)
            self.end_headers()
            self.wfile.write(generate_latest(registry))

        def log_message(self, *args: object) -> None: ...

    return Handler


class Request:
    """Tokens of one request as they come."""

    def __init__(self, server: ModelServer, model: str, began_s: float) -> None:
        self._server, self._model, self._last_s = server, model, began_s
        self._is_first = True

    def token(self) -> None:
        """The next token is there."""
        now_s = time.monotonic()
        since_s, self._last_s = now_s - self._last_s, now_s
        self._server.tokens.labels(self._model).inc()
        if self._is_first:
            self._server.first.labels(self._model).observe(since_s)
        else:
            self._server.interval.labels(self._model).observe(since_s)
            self._server.per_token.labels(self._model).observe(since_s)
        self._is_first = False
