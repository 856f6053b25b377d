"""The chart's values: wrong ones are refused with their path, and every one of them does something."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from tests.helm.documented import Value, all_values, leaves
from tests.helm.generated import stale_files
from tests.helm.user_chart import user_chart
from tests.support.helm import CHART, HELM_4, REPOSITORY, Engine, Installation, RefusedError, needs_helm_4

SECRET = "hunter2"
REDIS = {"url": "redis://redis:6379"}

WRONG: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "an unknown value": ({"observr": {}}, "at '': additional properties 'observr'"),
    "an unknown value below": ({"observer": {"replica": 2}}, "at '/observer': additional properties 'replica'"),
    "text for a number": ({"observer": {"replicas": "two"}}, "at '/observer/replicas'"),
    "text for a switch": ({"sidecar": {"native": "yes"}}, "at '/sidecar/native'"),
    "no observer at all": ({"observer": {"replicas": 0}}, "at '/observer/replicas'"),
    "a list for a mapping": ({"commonLabels": ["a"]}, "at '/commonLabels'"),
    "a number for a label": ({"commonLabels": {"a": 1}}, "at '/commonLabels/a'"),
    "a password": ({"redis": {"password": SECRET}}, "at '/redis': additional properties 'password'"),
    "a password in the address": ({"redis": {"url": f"redis://u:{SECRET}@redis"}}, "at '/redis/url'"),
    "a password among the settings": ({"config": {"redis": {"password": SECRET}}}, "at '/config/redis'"),
    "a password in the sidecar's settings": ({"sidecar": {"config": {"redis": {"password": SECRET}}}}, "/config/redis"),
    "a password as a variable": ({"extraEnv": [{"name": "RLB_REDIS__PASSWORD", "value": SECRET}]}, "/extraEnv/0/name"),
    "a setting as a variable": ({"observer": {"extraEnv": [{"name": "RLB_DRAIN_S"}]}}, "/observer/extraEnv/0/name"),
    "another kind of server": ({"redis": {"url": "http://redis"}}, "at '/redis/url'"),
    "a socket in the root folder": ({"sidecar": {"socketPath": "/rlb.sock"}}, "at '/sidecar/socketPath'"),
    "a relative socket": ({"sidecar": {"socketPath": "run/rlb.sock"}}, "at '/sidecar/socketPath'"),
    "a long socket": ({"sidecar": {"socketPath": "/run/" + "x" * 103}}, "at '/sidecar/socketPath'"),
    "an unknown section": ({"config": {"steam": {}}}, "at '/config': additional properties 'steam'"),
    "an unknown setting": (
        {"config": {"stream": {"prefx": "x"}}},
        "at '/config/stream': additional properties 'prefx'",
    ),
    "a setting out of bounds": ({"config": {"stream": {"max_length": -1}}}, "at '/config/stream/max_length'"),
    "a setting of another kind": ({"config": {"drain_s": "10s"}}, "at '/config/drain_s'"),
    "no such choice": ({"observer": {"config": {"log": {"level": "loud"}}}}, "at '/observer/config/log/level'"),
    "the socket among the settings": ({"config": {"socket": {"path": "/a/b"}}}, "at '/config/socket'"),
    "the port among the settings": ({"config": {"metrics": {"port": 1}}}, "at '/config'"),
    "a port beyond all": ({"metrics": {"port": 65536}}, "at '/metrics/port'"),
    "a quantity": ({"sidecar": {"resources": {"limits": {"memory": "512 MB"}}}}, "/sidecar/resources/limits/memory"),
    "a misspelt limit": ({"sidecar": {"resources": {"limit": {}}}}, "at '/sidecar/resources'"),
    "a misspelt probe": ({"sidecar": {"livenessProbe": {"period": 1}}}, "at '/sidecar/livenessProbe'"),
    "root": ({"securityContext": {"runAsUser": 0}}, "at '/securityContext/runAsUser'"),
    "a tag with a digest": ({"image": {"tag": "1@sha256:0"}}, "at '/image/tag'"),
    "a protocol": ({"otel": {"protocol": "http/json"}}, "at '/otel/protocol'"),
    "an alert that there is not": ({"prometheusRule": {"disabled": ["RLBDwon"]}}, "at '/prometheusRule/disabled/0'"),
    "a threshold that there is not": ({"prometheusRule": {"thresholds": {"lag": 1}}}, "/prometheusRule/thresholds'"),
    "a threshold above all": ({"prometheusRule": {"thresholds": {"queueRatio": 80}}}, "/thresholds/queueRatio"),
    "a threshold that is no bucket": ({"prometheusRule": {"thresholds": {"deliverySeconds": 2}}}, "/deliverySeconds"),
    "a duration": ({"podMonitor": {"interval": "15"}}, "at '/podMonitor/interval'"),
    "a scope": ({"podMonitor": {"scope": "all"}}, "at '/podMonitor/scope'"),
    "a switch with three states": ({"podMonitor": {"enabled": "on"}}, "at '/podMonitor/enabled'"),
    "scaling to nothing": ({"keda": {"minReplicas": 0}}, "at '/keda/minReplicas'"),
}

EVERYTHING: Mapping[str, Any] = {
    "redis": {"url": "rediss://redis:6379", "auth": {"existingSecret": "a"}, "tls": {"existingSecret": "t"}},
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "networkPolicy": {"enabled": True, "sidecars": True},
    "observer": {"enabled": True},
    "keda": {"enabled": True, "scaleTargetRef": {"name": "x"}, "group": "g", "prometheusUrl": "http://p"},
    "otel": {"endpoint": "http://c:4317"},
}
"""Values with which all objects are made, so that each value has something to change."""

DASHBOARDS = {"grafanaDashboards": {"enabled": True, "operator": {"enabled": True}}}
"""Switched on only for their own values, as they are long."""

CERTIFICATE = {"redis": {"tls": {"certKey": "tls.crt"}}}
ALONE: Mapping[str, Mapping[str, Any]] = {
    "redis.tls.keyKey": CERTIFICATE,
    "podMonitor.enabled": {"podMonitor": {"enabled": False}},
    "prometheusRule.enabled": {"prometheusRule": {"enabled": False}},
    "grafanaDashboards.enabled": {"grafanaDashboards": {"enabled": False}},
    "grafanaDashboards.operator.enabled": {"grafanaDashboards": {"operator": {"enabled": False}}},
    "networkPolicy.enabled": {"networkPolicy": {"enabled": False}},
    "networkPolicy.sidecars": {"networkPolicy": {"sidecars": False}},
    "keda.enabled": {"keda": {"enabled": False}},
}
"""What has to hold besides before such a value changes anything."""

OTHER: Mapping[str, Any] = {
    "image.pullPolicy": "Always",
    "image.digest": "sha256:" + "1" * 64,
    "image.pullSecrets": ["s"],
    "redis.url": "redis://other:6380",
    "config": {"log": {"level": "debug"}},
    "sidecar.config": {"log": {"level": "debug"}},
    "observer.config": {"log": {"level": "debug"}},
    "metrics.host": "::",
    "otel.endpoint": "http://d:4318",
    "otel.protocol": "http/protobuf",
    "extraEnv": [{"name": "A", "value": "b"}],
    "sidecar.extraEnv": [{"name": "A", "value": "b"}],
    "observer.extraEnv": [{"name": "A", "value": "b"}],
    "extraVolumes": [{"name": "v", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
    "sidecar.socketPath": "/run/other/rlb.sock",
    "sidecar.socketVolumeSize": "2Mi",
    "observer.spread.whenUnsatisfiable": "DoNotSchedule",
    "observer.tolerations": [{"operator": "Exists"}],
    "observer.affinity": {"nodeAffinity": {}},
    "sidecar.resources.requests.cpu": "1",
    "sidecar.resources.requests.memory": "1Gi",
    "sidecar.resources.limits.memory": "1Gi",
    "observer.resources.requests.cpu": "1",
    "observer.resources.requests.memory": "1Gi",
    "observer.resources.limits.memory": "1Gi",
    "podMonitor.enabled": True,
    "observer.enabled": False,
    "podMonitor.scope": "cluster",
    "podMonitor.interval": "15s",
    "podMonitor.scrapeTimeout": "15s",
    "podMonitor.podTargetLabels": ["a"],
    "podMonitor.relabelings": [{"action": "labeldrop", "regex": "a"}],
    "podMonitor.metricRelabelings": [{"action": "labeldrop", "regex": "a"}],
    "prometheusRule.disabled": ["RLBDown"],
    "prometheusRule.grafanaUrl": "https://grafana.example.com",
    "prometheusRule.runbookUrlPrefix": "https://runbooks.example.com",
    "prometheusRule.thresholds.batchGroups": "chat",
    "prometheusRule.thresholds.deliverySeconds": 2.5,
    "grafanaDashboards.operator.instanceSelector.matchLabels.dashboards": "other",
    "grafanaDashboards.operator.resyncPeriod": "5m",
    **{f"networkPolicy.{name}": [{"podSelector": {}}] for name in ("metricsFrom", "dnsTo", "redisTo", "otlpTo")},
    "networkPolicy.extraEgress": [{"ports": [{"port": 443}]}],
    "keda.scaleTargetRef.name": "y",
    "keda.prometheusUrl": "http://q",
}
"""Another value, where it is not one more, the opposite, or another word."""


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_refused_with_its_path(engine: Engine, what: str) -> None:
    values, told = WRONG[what]
    redis = {**REDIS, **values.get("redis", {})}
    with pytest.raises(RefusedError) as refused:
        engine.render(CHART, {**values, "redis": redis})
    assert told in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "redis.url is not set"),
        ({"redis": REDIS, "keda": {"enabled": True}}, "keda needs scaleTargetRef.name"),
    ],
)
def test_what_is_missing_is_told(engine: Engine, values: Mapping[str, Any], told: str) -> None:
    with pytest.raises(RefusedError, match=told):
        engine.render(CHART, values)


def test_a_parent_may_share_values_and_have_conditions(engine: Engine) -> None:
    assert engine.render(CHART, {"redis": REDIS, "global": {"anything": 1}, "enabled": True})


@needs_helm_4
def test_what_is_generated_is_fresh() -> None:
    stale = [str(path.relative_to(REPOSITORY)) for path, _ in stale_files()]
    assert stale == [], "run `make docs`"


def test_every_value_is_documented() -> None:
    """By a text of its own, or by one of the mapping that it is in."""
    documented = {value.path for value in all_values() if value.text}
    bare = [
        value.name
        for value in leaves()
        if not any(value.path[:length] in documented for length in range(1, len(value.path) + 1))
    ]
    assert bare == []


def test_the_schema_speaks_of_every_value() -> None:
    """So that an editor can show what a value is for."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    for value in all_values():
        if value.text:
            part: Any = schema
            for name in value.path:
                part = part.get("properties", {}).get(name, part if "properties" not in part else {})
            assert "description" in part, value.name


def other(value: Value) -> Any:
    """Some other value of the same kind."""
    if value.name in OTHER:
        return OTHER[value.name]
    match value.default:
        case bool():
            return not value.default
        case int():
            return value.default + 1
        case float():
            return value.default / 2
        case str():
            return f"{value.default}x"
        case dict():
            return {"a": "b"}
    raise AssertionError(f"say in OTHER what {value.name} may be")


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {path[0]: nested(path[1:], value) if len(path) > 1 else value}


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **first,
        **{
            key: merged(first[key], value) if isinstance(value, dict) and isinstance(first.get(key), dict) else value
            for key, value in second.items()
        },
    }


Render = Callable[[Mapping[str, Any]], str]


@pytest.fixture(scope="module")
def render() -> Iterator[Render]:
    """The user's chart with given values of the dependency, as text; what was rendered already is not again."""
    with user_chart() as chart:

        @cache
        def rendered(values: str) -> str:
            return HELM_4.render_text(chart, {"rlb": json.loads(values)}, Installation())

        yield lambda values: rendered(json.dumps(values))


@needs_helm_4
@pytest.mark.parametrize("value", [pytest.param(value, id=value.name) for value in leaves()])
def test_every_value_does_something(render: Render, value: Value) -> None:
    dashboards = DASHBOARDS if value.path[0] == "grafanaDashboards" else {}
    before = merged(merged(EVERYTHING, dashboards), ALONE.get(value.name, {}))
    after = merged(before, nested(value.path, other(value)))
    assert render(after) != render(before)
