"""How exports go: each is counted, and the log is told when that changes, not each time."""

from __future__ import annotations

import logging

from rlb.telemetry.otel_variables import Signal
from rlb.telemetry.registry import Registry

_log = logging.getLogger("rlb.telemetry")


class ExportLog:
    """Counts the exports of one signal. May be used from the thread that exports, if from no other."""

    def __init__(self, signal: Signal, registry: Registry) -> None:
        self._signal = signal
        self._ok = registry.counter("rlb.otlp.exports", signal=signal, outcome="ok")
        self._failed = registry.counter("rlb.otlp.exports", signal=signal, outcome="failed")
        self.is_failing = False
        """Whether the last export was not taken."""

    def ok(self) -> None:
        """An export was taken."""
        self._ok.value += 1
        if self.is_failing:
            self.is_failing = False
            _log.info("otlp.export_works_again", extra={"signal": self._signal})

    def failed(self, reason: str) -> None:
        """An export was not taken."""
        self._failed.value += 1
        if not self.is_failing:
            self.is_failing = True
            _log.warning("otlp.export_fails", extra={"signal": self._signal, "reason": reason})


def quiet_exporters() -> None:
    """Keep the exporters' own log out of ours: they log every failed export, with addresses; we log the change."""
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL + 1)
