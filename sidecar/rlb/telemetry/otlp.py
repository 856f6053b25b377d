"""Metrics over OTLP: the registry, read in the event loop, is handed to OpenTelemetry's exporter in a thread.

The thread is the only one that waits for the collector. While it waits, later exports are left out: sums are
cumulative, so nothing is lost by that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlb.telemetry.otel_variables import MetricsExport, Protocol, metrics_export
from rlb.telemetry.otlp_cause import quiet_exporters
from rlb.telemetry.otlp_log import ExportLog
from rlb.telemetry.registry import Family, Registry

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

_log = logging.getLogger("rlb.telemetry")

MAX_LAST_WORDS_S = 1.0
"""How long a stop waits for the last export, if the variables do not say less and the collector seems to be there."""

_Batch = tuple[tuple[Family, ...], float]
"""What was collected, and when (Unix time)."""


def start_otlp_metrics(
    registry: Registry, resource: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> OtlpMetrics | None:
    """Begin to export if the `OTEL_*` variables ask for it. Call it in a running loop."""
    how = metrics_export(environ)
    if how is None:
        return None
    quiet_exporters()
    return OtlpMetrics(registry, resource, how)


class OtlpMetrics:
    """Exports a registry again and again, and a last time on closing."""

    def __init__(self, registry: Registry, resource: Mapping[str, str], how: MetricsExport) -> None:
        self._registry = registry
        self._resource = resource
        self._how = how
        self._export_log = ExportLog("metrics", registry)
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._is_busy = False
        """Whether the thread has a batch that it has not sent yet."""
        self._loop = asyncio.get_running_loop()
        self._is_over = asyncio.Event()
        self._exporter: MetricExporter | None = None
        self._thread = threading.Thread(target=self._run, name="otlp metrics", daemon=True)
        self._thread.start()
        self._task = asyncio.create_task(self._collect_every(how.interval_s), name="otlp metrics")
        _log.info("otlp.started", extra={"signal": "metrics", "protocol": how.protocol, "interval_s": how.interval_s})

    async def close(self) -> None:
        """Export a last time, if that goes quickly, and stop. A collector that takes nothing is not waited for."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if not self._is_busy and not self._export_log.is_failing:
            await self._collect()
        self._batches.put(None)
        if not self._export_log.is_failing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(MAX_LAST_WORDS_S, self._how.timeout_s)):
                    await self._is_over.wait()
        if (exporter := self._exporter) is not None:
            # Ends what it waits for, so that the thread does not outlive the process's last minute.
            exporter.shutdown(0)

    async def _collect_every(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            if not self._is_busy:
                await self._collect()

    async def _collect(self) -> None:
        """Read the registry, letting the loop turn between two metrics."""
        at_s = time.time()
        families = []
        for family in self._registry.collect():
            families.append(family)
            await asyncio.sleep(0)
        self._is_busy = True
        self._batches.put((tuple(families), at_s))

    # In the thread

    def _run(self) -> None:
        self._export_all()
        with contextlib.suppress(RuntimeError):  # the loop has not waited for this
            self._loop.call_soon_threadsafe(self._is_over.set)

    def _export_all(self) -> None:
        # The first import takes some hundred milliseconds, the loop none of them.
        from opentelemetry.sdk.metrics.export import MetricExportResult

        from rlb.telemetry.otlp_data import Converter

        try:
            exporter = self._exporter = _exporter(self._how.protocol)
        except Exception as error:  # noqa: BLE001 - whatever a variable is bad for, the sidecar runs on without exports
            _log.warning("otlp.cannot_start", extra={"signal": "metrics", "fault": type(error).__name__})
            return
        converter = Converter(self._resource, self._registry.started_at_s)
        while (batch := self._batches.get()) is not None:
            self._export_log.begin()
            try:
                result = exporter.export(converter.convert(*batch), timeout_millis=self._how.timeout_s * 1000)
            except Exception as error:  # noqa: BLE001 - an export that fails must not be the last
                self._export_log.failed(type(error).__name__)
            else:
                if result is MetricExportResult.SUCCESS:
                    self._export_log.ok()
                else:
                    self._export_log.failed()
            self._is_busy = False


def _exporter(protocol: Protocol) -> MetricExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter

    return HttpExporter()
