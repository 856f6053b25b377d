"""The compiler accepts custom resources as their operators take them, and finds what is misspelt or of a wrong type."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.support import typescript

pytestmark = pytest.mark.timeout(300)  # the first one of all installs the packages

METADATA = {"name": "rlb", "labels": {"app": "rlb"}}
POD_MONITOR = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "PodMonitor",
    "metadata": METADATA,
    "spec": {
        "selector": {"matchLabels": {"app": "rlb"}},
        "podMetricsEndpoints": [{"port": "rlb-metrics", "interval": "15s"}],
    },
}
PROMETHEUS_RULE = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "PrometheusRule",
    "metadata": METADATA,
    "spec": {
        "groups": [{"name": "a", "rules": [{"alert": "A", "expr": "up == 0", "for": "5m", "labels": {"a": "b"}}]}]
    },
}
SCALED_OBJECT = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": METADATA,
    "spec": {
        "scaleTargetRef": {"name": "indexer"},
        "fallback": {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicas"},
        "triggers": [{"type": "prometheus", "metadata": {"query": "up", "threshold": "5"}}],
    },
}
GOOD = (POD_MONITOR, PROMETHEUS_RULE, SCALED_OBJECT)

WRONG: dict[str, tuple[dict[str, Any], tuple[str | int, ...], str, Any]] = {
    "a misspelt key of the metadata": (POD_MONITOR, ("metadata",), "lables", {}),
    "a misspelt key deep inside": (POD_MONITOR, ("spec", "podMetricsEndpoints", 0), "intervall", "15s"),
    "a number for a text": (POD_MONITOR, ("spec", "podMetricsEndpoints", 0), "port", 9464),
    "a misspelt key of a rule": (PROMETHEUS_RULE, ("spec", "groups", 0, "rules", 0), "keepFiringFor", "5m"),
    "an unknown behaviour": (SCALED_OBJECT, ("spec", "fallback"), "behavior", "hold"),
    "a text for a number": (SCALED_OBJECT, ("spec", "fallback"), "replicas", "2"),
    "another version": (SCALED_OBJECT, (), "apiVersion", "keda.sh/v1"),
}


def changed(value: dict[str, Any], at: tuple[str | int, ...], key: str, to: Any) -> dict[str, Any]:
    """The same object with one key that is something else."""
    whole = copy.deepcopy(value)
    part: Any = whole
    for step in at:
        part = part[step]
    part[key] = to
    return whole


def test_good_ones_are_accepted() -> None:
    assert typescript.check({f"{it['kind']}.ts": typescript.custom_resource(it) for it in GOOD}) == []


def test_wrong_ones_are_refused() -> None:
    """Each by a message of its own, about its own file."""
    wrong = [changed(*how) for how in WRONG.values()]
    found = typescript.check({f"wrong{n}.ts": typescript.custom_resource(it) for n, it in enumerate(wrong)})
    for number, what in enumerate(WRONG):
        assert any(line.startswith(f"wrong{number}.ts(") for line in found), (what, found)


def test_versions_are_pinned_and_no_address_is_named() -> None:
    """Exact versions, and a lock file that any registry can serve."""
    package = json.loads((typescript.HOME / "package.json").read_text())
    lock = json.loads((typescript.HOME / "package-lock.json").read_text())
    assert all(version[0].isdigit() for version in package["devDependencies"].values())
    for path, locked in lock["packages"].items():
        assert "resolved" not in locked, path
        assert not path or locked["integrity"].startswith("sha512-"), path
