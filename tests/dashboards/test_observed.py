"""Of whom panels take what sidecars and an observer both poll, by what the dashboard's variables choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dashboards.grafana.queries import level, rate
from tests.dashboards.boards import expand
from tests.support.promtool import needs_promtool, promtool

ALL: Mapping[str, str] = {
    **dict.fromkeys(("namespace", "job", "instance", "model", "group"), ".*"),
    "__rate_interval": "5m",
}
LEASE, OTHER_LEASE = "1a2b3c4d", "5e6f7a8b"

Series = dict[str, str]


def process(namespace: str, instance: str, metric: str, value: float | str, **labels: str) -> Series:
    """A series of one process, the same for ten minutes."""
    own = {"namespace": namespace, "job": "rlb", "instance": instance, **labels}
    text = ",".join(f'{name}="{label}"' for name, label in own.items())
    return {"series": f"{metric}{{{text}}}", "values": f"{value}x10"}


def tells(namespace: str, instance: str, lag: int, group: str = "g") -> list[Series]:
    """What it has polled."""
    of = {"model": "m", "group": group}
    return [
        process(namespace, instance, "rlb_group_lag", lag, **of),
        process(namespace, instance, "rlb_group_entries_read_total", "0+600", **of),
    ]


OBSERVER = [process("redis", "o", "rlb_monitor_leader", 1, lease=LEASE), *tells("redis", "o", 100)]
STANDBY = [process("redis", "p", "rlb_monitor_leader", 0, lease=OTHER_LEASE)]
ELSEWHERE = [process("far", "o", "rlb_monitor_leader", 1, lease=OTHER_LEASE), *tells("far", "o", 40)]


def sidecar(namespace: str, observed: int | None, lag: int = 70, group: str = "g") -> list[Series]:
    """A sidecar that names the lease of the observer beside it, knows of none, or does not know."""
    labels = {"lease": LEASE} if observed else {}
    knows = [process(namespace, "s", "rlb_monitor_observed", observed, **labels)] if observed is not None else []
    return [*knows, *tells(namespace, "s", lag, group)]


@dataclass(frozen=True)
class Case:
    """What Prometheus has, the lag that a panel adds up, from how many (each reads ten a second), what is chosen."""

    series: list[Series]
    lag: int
    tellers: int
    chosen: Mapping[str, str] = field(default_factory=dict)


CASES: Mapping[str, Case] = {
    "two namespaces share a Redis": Case([*OBSERVER, *STANDBY, *sidecar("chat", 1), *sidecar("search", 1)], 100, 1),
    "only a namespace of apps is chosen": Case([*OBSERVER, *sidecar("chat", 1)], 70, 1, {"namespace": "chat"}),
    "only a sidecar is chosen": Case([*OBSERVER, *sidecar("redis", 1)], 70, 1, {"instance": "s"}),
    "the observer is not scraped": Case([*ELSEWHERE, *sidecar("chat", 1)], 110, 2),
    "one of two Redis in a namespace": Case([*OBSERVER, *sidecar("redis", 0, 5, "apart")], 105, 2),
    "names that a sidecar has no room for": Case([*OBSERVER, *sidecar("redis", 1, 70, "other")], 100, 1),
    "no observer": Case(sidecar("chat", 0), 70, 1),
    "it is not known": Case([*OBSERVER, *sidecar("chat", None)], 170, 2),
}


@needs_promtool
@pytest.mark.parametrize("name", CASES)
def test_what_is_polled_is_taken_once(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    lag, read = (
        expand(text, {**ALL, **case.chosen}) for text in (level("rlb.group.lag"), rate("rlb.group.entries_read"))
    )
    tests = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": case.series,
                "promql_expr_test": [
                    {"expr": expr, "eval_time": "8m", "exp_samples": [{"labels": "{}", "value": value}]}
                    for expr, value in ((lag, case.lag), (read, 10 * case.tellers))
                ],
            }
        ],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    ran = promtool("test", "rules", tmp_path / "tests.yaml")
    assert ran.returncode == 0, ran.stderr
