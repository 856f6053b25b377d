"""A real Prometheus that scrapes what a test tells it to, four times a second unless told otherwise."""

from __future__ import annotations

import json
import shutil
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.support.started import Started, free_port

PROMETHEUS = shutil.which("prometheus")
MISSING = "prometheus is not installed (Debian: apt-get install prometheus)"

_CONFIG = """\
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs:
  - job_name: rlb
    static_configs: [{targets: %s}]
"""


class PrometheusServer(Started):
    """Prometheus from `with` to the end of the block, with its data in `folder`.

    It scrapes `targets`, or does whatever a `config` of its own says, as to evaluate rules and notify of alerts.
    """

    def __init__(self, folder: Path, *targets: str, config: str = "") -> None:
        self._folder = folder
        self._config = config or _CONFIG % json.dumps(list(targets))
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        assert PROMETHEUS is not None
        config = self._folder / "prometheus.yml"
        config.write_text(self._config)
        command = [
            PROMETHEUS,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--enable-feature=exemplar-storage",
        ]
        self._start(command, self._folder / "prometheus.log")
        return self

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The value of an instant query: labels and value of each series."""
        result = self._get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def query_range(
        self, expression: str, start_s: float, end_s: float, step_s: float
    ) -> list[tuple[dict[str, str], list[float]]]:
        """The values of each series at the steps where it has one."""
        result = self._get(
            "query_range", query=expression, start=f"{start_s:.3f}", end=f"{end_s:.3f}", step=f"{step_s:g}"
        )["result"]
        return [(series["metric"], [float(value) for _, value in series["values"]]) for series in result]

    def label_values(self, label: str, selector: str = "") -> list[str]:
        """All values of a label, of the series that a selector names."""
        found: list[str] = self._get(f"label/{label}/values", **({"match[]": selector} if selector else {}))
        return found

    def rules(self) -> list[dict[str, Any]]:
        """All rules with their health and their last error."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """The targets with the outcome of their last scrape."""
        found: list[dict[str, Any]] = self._get("targets")["activeTargets"]
        return found

    def exemplars(self, expression: str) -> list[dict[str, Any]]:
        """Exemplars of the series that an expression names, of the last hour."""
        now_s = time.time()
        series = self._get("query_exemplars", query=expression, start=str(now_s - 3600), end=str(now_s + 60))
        return [exemplar for each in series for exemplar in each["exemplars"]]

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)["data"]
