"""What a sidecar shows of itself: its metrics as numbers, its health as components. Blocking, over its socket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.sidecar import RunningSidecar

PATIENCE_S = 20.0


class Looks:
    """Looks at a running sidecar from outside."""

    def __init__(self, sidecar: RunningSidecar) -> None:
        self._sidecar = sidecar

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        with self._sidecar.connect() as client:
            client.get(path)
            response = client.response()
        return response.status, response.body

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the series of this name that have these labels; None if there are none."""
        _, body = self.get("/metrics")
        values = [
            sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values) if values else None

    def component(self, name: str) -> dict[str, Any]:
        """A component in /healthz."""
        _, body = self.get("/healthz")
        (found,) = (each for each in json.loads(body)["components"] if each["name"] == name)
        return dict(found)

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds."""
        until_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < until_s, f"{what} did not come: {self.get('/healthz')[1]!r}"
            time.sleep(0.02)
