"""Two worlds under a real Prometheus: one where the demo's apps are at work and all is well, one where nothing is."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import yaml

from rlb.cli.demo.traffic import MODELS
from tests.cli.processes import Running, clean_environment
from tests.dashboards.boards import BUILT_IN, GENERATED, Board, expand, label_values, variable_query
from tests.dashboards.exporter import Exporter
from tests.dashboards.exposition import STEADY, exposition, of_vllm
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.otlp import Collector
from tests.support.prometheus import PrometheusServer
from tests.support.started import free_port

ROOT = GENERATED.parent.parent
SCRAPE_S = 3
"""Also the time that a scrape may take, on a machine that is busy with other tests."""
DOWN_AFTER_S = 12.0
LOOKED_AT_S = 25.0
STEP_S = 5.0
WINDOWS = {"__rate_interval": "15s", "__interval": "5s", "__range": "30s", "__range_s": "30", "__range_ms": "30000"}
NAMESPACE = "llm"


@dataclass(frozen=True)
class Answer:
    """What came back for one expression."""

    expr: str
    series: tuple[tuple[Mapping[str, str], tuple[float, ...]], ...] = ()
    error: str = ""

    @property
    def is_finite(self) -> bool:
        return all(math.isfinite(value) for _, values in self.series for value in values)

    @property
    def labels(self) -> set[frozenset[str]]:
        """The names of the labels of each series."""
        return {frozenset(labels.keys() - {"__name__"}) for labels, _ in self.series}


@dataclass(frozen=True)
class World:
    """A Prometheus that scrapes."""

    prometheus: PrometheusServer

    def ask(self, expr: str, *, instant: bool) -> Answer:
        """All series of the answer, or the error."""
        try:
            if instant:
                now = self.prometheus.query(expr)
                return Answer(expr, tuple((labels, (value,)) for labels, value in now))
            now_s = time.time()
            found = self.prometheus.query_range(expr, now_s - LOOKED_AT_S, now_s, STEP_S)
        except HTTPError as error:
            with error:
                return Answer(expr, error=json.load(error)["error"])
        return Answer(expr, tuple((labels, tuple(values)) for labels, values in found))

    def choose(self, board: Board) -> dict[str, list[str]]:
        """What the dashboard's query variables offer, each asked with all of those before it."""
        values, found = everything(board), {}
        for variable in board.variables:
            asked = label_values(variable_query(variable)) if variable.get("type") == "query" else None
            if asked is not None:
                found[str(variable["name"])] = self.prometheus.label_values(asked[1], expand(asked[0], values))
        return found


def everything(board: Board) -> dict[str, str]:
    """The values of variables as Grafana puts them in when All is chosen."""
    values = {**BUILT_IN, **WINDOWS}
    for variable in board.variables:
        name = str(variable["name"])
        current = (variable.get("current") or {}).get("value")
        values[name] = str(variable.get("allValue") or (current if isinstance(current, str) else ""))
    return values


def each_by_name(board: Board, choices: Mapping[str, list[str]]) -> dict[str, str]:
    """The same when every value is chosen by itself: an alternative of escaped names."""
    escaped = {
        name: [re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value) for value in choices[name]] for name in choices
    }
    return {**everything(board), **{name: f"({'|'.join(values)})" for name, values in escaped.items()}}


def _config(folder: Path, *jobs: Mapping[str, Any]) -> str:
    """Of Prometheus, with all rules evaluated at every scrape."""
    for path in (GENERATED / "rules").glob("*.yaml"):
        groups = yaml.safe_load(path.read_text())
        for group in groups["groups"]:
            group["interval"] = f"{SCRAPE_S}s"
        (folder / path.name).write_text(yaml.safe_dump(groups))
    return yaml.safe_dump(
        {
            "global": {f"{what}_interval": f"{SCRAPE_S}s" for what in ("scrape", "evaluation")},
            "rule_files": [str(folder / "*.yaml")],
            "scrape_configs": list(jobs),
        }
    )


def _job(name: str, *targets: str, namespace: str = "") -> dict[str, Any]:
    """Targets as Prometheus finds them in a namespace of Kubernetes, or, without one, elsewhere."""
    known = []
    for number, target in enumerate(targets):
        labels = {"namespace": namespace, "pod": f"{name}-{number}", "container": name} if namespace else {}
        known.append({"targets": [target], "labels": labels})
    return {"job_name": name, "static_configs": known}


@contextmanager
def _prometheus(folder: Path, *jobs: Mapping[str, Any]) -> Iterator[PrometheusServer]:
    (folder / "rules").mkdir(parents=True)
    with PrometheusServer(folder, config=_config(folder / "rules", *jobs)) as prometheus:
        prometheus.until(lambda it: len(it.query("up")) == sum(len(job["static_configs"]) for job in jobs))
        yield prometheus


@contextmanager
def well(folder: Path, sockets: Path) -> Iterator[World]:
    """The demo's apps on a sidecar, an observer, vLLM next to it: all at work, in Kubernetes."""
    with ExitStack() as parts:
        redis = RedisServer(VALKEY_9)
        parts.callback(redis.close)
        redis.start()
        collector = parts.enter_context(Collector())
        port, observer_port = str(free_port()), str(free_port())
        environment = {**clean_environment(), **collector.environment, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
        command = [sys.executable, "-m", "tests.dashboards.demo_load", str(sockets / "s"), port, redis.url]
        with (folder / "demo.log").open("wb") as log:
            demo = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        parts.callback(_end, demo)
        arguments = ("observe", "--redis-url", redis.url, "--metrics-port", observer_port)
        with Path(os.devnull).open("w") as nowhere:
            fast = {"RLB_MONITOR__INTERVAL_SECONDS": "0.5", "RLB_MONITOR__SWEEP_SECONDS": "1"}
            parts.enter_context(Running(*arguments, env=fast, stdout=nowhere, stderr=nowhere))
        vllm = parts.enter_context(Exporter(lambda elapsed_s: of_vllm(elapsed_s, MODELS[0].model_id)))
        sidecars = (f"127.0.0.1:{port}", f"127.0.0.1:{observer_port}")
        jobs = (_job("rlb", *sidecars, namespace=NAMESPACE), _job("vllm", vllm.address, namespace=NAMESPACE))
        prometheus = parts.enter_context(_prometheus(folder / "well", *jobs))
        prometheus.until(lambda it: it.query("rlb_group_lag") and it.query("rlb_monitor_leader == 1"))
        yield World(prometheus)
        assert demo.poll() is None, (folder / "demo.log").read_text()[-2000:]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


ILLS: Mapping[str, Mapping[str, float]] = {
    "": {},
    "stuck": {"rlb.group.entries_read": 5},
    "away": {"rlb.redis.up": 0},
    "observed": {"rlb.monitor.leader": 1, "rlb.monitor.observed": 1},
}
"""What is otherwise in which namespace: alerts for one trouble are silent where a greater one is there."""


@contextmanager
def ill(folder: Path) -> Iterator[World]:
    """Sidecars of which every series is there and rises, one outside Kubernetes, and one that goes down."""

    def told(changed: Mapping[str, float]) -> Callable[[float], str]:
        return lambda elapsed_s: exposition(elapsed_s, time.time(), {**STEADY, **changed})

    with ExitStack() as parts:
        jobs = []
        for namespace, changed in ILLS.items():
            exporter = parts.enter_context(Exporter(told(changed)))
            jobs.append(_job(f"rlb-{namespace}", exporter.address, namespace=namespace))
        ends = parts.enter_context(Exporter(lambda s: exposition(s, time.time()) if s < DOWN_AFTER_S else None))
        vllm = parts.enter_context(Exporter(lambda elapsed_s: of_vllm(elapsed_s, MODELS[0].model_id)))
        jobs += [_job("rlb-ends", ends.address), _job("vllm", vllm.address)]
        yield World(parts.enter_context(_prometheus(folder / "ill", *jobs)))
