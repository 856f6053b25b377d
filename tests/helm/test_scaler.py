"""The scaler: KEDA gets the lag where it is known; where not, no value at all, which it takes for a failure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.helm import CHART, HELM_4, Engine, needs_helm_4
from tests.support.promtool import needs_promtool, promtool

KEDA = {
    "enabled": True,
    "scaleTargetRef": {"name": "indexer"},
    "group": "indexer",
    "prometheusUrl": "http://prometheus",
}

MINUTES = 10
LOOK_S = 300
"""When the query is asked, in the time of the series, which have a sample every fifteen seconds."""


def scaler(engine: Engine, **values: Any) -> dict[str, Any]:
    """The specification of the ScaledObject."""
    objects = engine.render(CHART, {"redis": {"url": "redis://redis"}, "keda": {**KEDA, **values}})
    found: dict[str, Any] = next(item["spec"] for item in objects if item["kind"] == "ScaledObject")
    return found


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    """An input of promtool; `values` is in its notation."""
    all_labels = {"namespace": "llm", "instance": "observer-1", **labels}
    return {
        "series": f"{name}{{{','.join(f'{key}={value!r}' for key, value in all_labels.items())}}}",
        "values": values,
    }


def observer(*, leads: int = 1, up: int = 1, polled: str = "0+15x40", instance: str = "observer-1") -> list[Any]:
    """An observer that polls all the time, or does not."""
    return [
        series("rlb_monitor_leader", f"{leads}x40", instance=instance),
        series("rlb_redis_up", f"{up}x40", instance=instance),
        series("rlb_poll_last_success_timestamp_seconds", polled, instance=instance),
    ]


def lag(values: str, model: str = "m", group: str = "indexer", instance: str = "observer-1") -> dict[str, str]:
    return series("rlb_group_lag", values, model=model, group=group, instance=instance)


def unknown(streams: int, group: str = "indexer") -> dict[str, str]:
    return series("rlb_group_lag_streams", f"{streams}x40", model="m", group=group, quality="unknown")


CASES: Mapping[str, tuple[list[Any], float | None]] = {
    "the lag of all models": ([*observer(), lag("700x40"), lag("300x40", model="n")], 1000),
    "told by several, counted once": ([*observer(), lag("700x40"), lag("600x40", instance="sidecar-1")], 700),
    "that of other groups is nothing to us": ([*observer(), lag("7x40"), lag("900x40", group="other")], 7),
    "no stream is a lag of 0": (observer(), 0),
    "a lag of 0 is one": ([*observer(), lag("0x40")], 0),
    "a stream of unknown lag": ([*observer(), lag("700x40"), unknown(1)], None),
    "unknown for another group": ([*observer(), lag("700x40"), unknown(1, "other")], 700),
    "none unknown any more": ([*observer(), lag("700x40"), unknown(0)], 700),
    "Redis is away": (observer(up=0), None),
    "Redis is away, and a sidecar still tells a part": ([*observer(up=0), lag("5x40", instance="sidecar-1")], None),
    "the last poll is long ago": ([*observer(polled="0x40"), lag("700x40")], None),
    "nobody leads": ([*observer(leads=0), *observer(leads=0, instance="observer-2")], None),
    "no observer, and a sidecar tells a part": ([lag("5x40", instance="sidecar-1")], None),
    "the leader's poll counts, not that of one that stands by": (
        [*observer(polled="0x40"), *observer(leads=0, instance="observer-2")],
        None,
    ),
    "the one that took over": ([*observer(leads=0, up=0), *observer(instance="observer-2"), lag("9x40")], 9),
    "nothing is scraped": ([], None),
}


@needs_helm_4
@needs_promtool
def test_the_query_has_a_value_only_where_the_lag_is_known(tmp_path: Path) -> None:
    query = scaler(HELM_4)["triggers"][0]["metadata"]["query"]
    tests = [
        {
            "name": name,
            "interval": "15s",
            "input_series": inputs,
            "promql_expr_test": [
                {
                    "expr": query,
                    "eval_time": f"{LOOK_S}s",
                    "exp_samples": [] if expected is None else [{"labels": "{}", "value": expected}],
                }
            ],
        }
        for name, (inputs, expected) in CASES.items()
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": tests}))
    ran = promtool("test", "rules", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_value_is_a_failure_upon_which_all_stays_as_it_is(engine: Engine) -> None:
    spec = scaler(engine)
    (trigger,) = spec["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert spec["fallback"]["behavior"] == "currentReplicas"
    # The only kind of metric for which KEDA falls back.
    assert trigger["metricType"] == "AverageValue"
    assert spec["minReplicaCount"] >= 1


def test_the_series_may_be_in_another_namespace(engine: Engine) -> None:
    query = scaler(engine, matchers={"namespace": "observability", "job": 'a"b'})["triggers"][0]["metadata"]["query"]
    assert 'job="a\\"b",namespace="observability",group="indexer"' in query
    assert 'namespace="llm"' not in query


def test_metadata_is_all_text(engine: Engine) -> None:
    """KEDA takes nothing else there."""
    metadata = scaler(engine, lagPerReplica=1_000_000)["triggers"][0]["metadata"]
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata["threshold"] == "1000000"
