"""What is printed after an installation: commands that name what was installed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.helm import CHART, HELM_4, needs_helm_4

pytestmark = needs_helm_4

REDIS = {"url": "redis://redis:6379"}


def notes(**values: Any) -> str:
    return HELM_4.notes(CHART, {"redis": REDIS, **values})


def test_they_name_what_there_is() -> None:
    text = notes()
    objects = {f"{item['kind'].lower()}/{item['metadata']['name']}" for item in HELM_4.render(CHART, {"redis": REDIS})}
    named = set(re.findall(r"\bdeployment/\S+", text))
    assert named
    assert named <= objects
    assert "redis://redis:6379" in text
    assert '{{- include "rlb.sidecar.container" . | nindent 8 }}' in text


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "signs in at Redis without a password"),
        ({"podMonitor": {"enabled": False}}, "No PodMonitor was made"),
        ({"sidecar": {"name": "bridge"}}, "-c bridge -- rlb health"),
        ({"metrics": {"port": 9000}}, "http://127.0.0.1:9000/metrics"),
        ({"prometheusRule": {"enabled": True}}, "paths without a host"),
    ],
)
def test_they_say_what_is_particular(values: dict[str, Any], told: str) -> None:
    assert told in notes(**values)


@pytest.mark.parametrize(
    ("values", "not_told"),
    [
        ({"redis": {**REDIS, "auth": {"existingSecret": "s"}}}, "without a password"),
        ({"podMonitor": {"enabled": True}}, "No PodMonitor"),
        ({"observer": {"enabled": False}}, "deployment/"),
        ({"sidecar": {"enabled": False}}, "rlb.sidecar.container"),
        ({"metrics": {"port": 0}}, "port-forward"),
        ({"prometheusRule": {"enabled": True, "grafanaUrl": "https://grafana.example.com"}}, "paths without a host"),
        ({}, "paths without a host"),
    ],
)
def test_they_say_nothing_of_what_is_not_there(values: dict[str, Any], not_told: str) -> None:
    assert not_told not in notes(**values)
