"""How exports go: each is counted, and the log is told when that changes, not each time."""

from __future__ import annotations

import logging
import time

from rlb.telemetry.otel_variables import Signal
from rlb.telemetry.otlp_cause import note_causes
from rlb.telemetry.registry import Registry

_log = logging.getLogger("rlb.telemetry")

UNANSWERED_S = 3.0
"""How long an export may take before it is taken for one that fails."""


class ExportLog:
    """Counts the exports of one signal. Belongs to the thread that exports; others may ask whether it fails."""

    def __init__(self, signal: Signal, registry: Registry) -> None:
        self._signal = signal
        self._ok = registry.counter("rlb.otlp.exports", signal=signal, outcome="ok")
        self._failed = registry.counter("rlb.otlp.exports", signal=signal, outcome="failed")
        self._cause: str | None = None
        self._is_logged = False
        self._begun_s: float | None = None
        """When the export that is under way has begun."""

    @property
    def is_failing(self) -> bool:
        """Whether the last export was not taken, or one that is under way is tried in vain, or for long."""
        return self._is_logged or self._cause is not None or self._is_late

    @property
    def _is_late(self) -> bool:
        begun_s = self._begun_s
        return begun_s is not None and time.monotonic() - begun_s > UNANSWERED_S

    def begin(self) -> None:
        """An export begins in this thread."""
        self._cause = None
        self._begun_s = time.monotonic()
        note_causes(self._note)

    def _note(self, cause: str) -> None:
        self._cause = cause

    def ok(self) -> None:
        """An export was taken."""
        self._ok.value += 1
        self._cause = self._begun_s = None
        if self._is_logged:
            self._is_logged = False
            _log.info("otlp.export_works_again", extra={"signal": self._signal})

    def failed(self, cause: str | None = None) -> None:
        """An export was not taken, for this cause or the one that its exporter has told."""
        self._failed.value += 1
        reason = cause or self._cause or ("no answer" if self._is_late else "not taken")
        self._begun_s = None
        if not self._is_logged:
            self._is_logged = True
            _log.warning("otlp.export_fails", extra={"signal": self._signal, "reason": reason})
