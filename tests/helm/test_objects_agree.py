"""What one object says of another is so: selectors find pods, references find objects and keys, ports are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest

from tests.helm.pods import containers, pod_specs
from tests.helm.user_chart import user_chart
from tests.support.helm import CHART, HELM_4, Engine, needs_helm_4

pytestmark = needs_helm_4

Rendered = list[dict[str, Any]]
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
EVERYTHING: dict[str, Any] = {
    "redis": {"url": "redis://redis"},
    "observer": {"enabled": True},
    "podMonitor": {"enabled": True},
    "networkPolicy": {"enabled": True, "sidecars": True},
    "grafanaDashboards": {"enabled": True, "namespace": "monitoring", "operator": {"enabled": True}},
    "commonLabels": {"team": "llm", "app.kubernetes.io/name": "mine"},
}


@pytest.fixture(scope="module")
def objects() -> Rendered:
    """The user's chart, with all that ours can make but rules and a scaler."""
    with user_chart() as chart:
        return HELM_4.render(chart, {"rlb": EVERYTHING})


def selectors(objects: Rendered) -> Iterator[tuple[str, dict[str, str]]]:
    """Each selector of pods with the name of its object, which says whose pods are meant."""
    for item in objects:
        spec = item.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if selector:
            yield f"{item['kind']}/{item['metadata']['name']}", selector["matchLabels"]
        for constraint in spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", ()):
            yield f"spread/{item['metadata']['name']}", constraint["labelSelector"]["matchLabels"]


def test_every_selector_finds_the_pods_that_it_means_and_no_others(objects: Rendered) -> None:
    pods = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"]
        for item in objects
        if item["kind"] == "Deployment"
    }
    assert set(pods) == {"chat", "test-rlb-observer"}
    found = {
        name: {pod for pod, labels in pods.items() if wanted.items() <= labels.items()}
        for name, wanted in selectors(objects)
    }
    assert found == {
        "Deployment/chat": {"chat"},
        "Deployment/test-rlb-observer": {"test-rlb-observer"},
        "spread/test-rlb-observer": {"test-rlb-observer"},
        "PodDisruptionBudget/test-rlb-observer": {"test-rlb-observer"},
        "PodMonitor/test-rlb-observer": {"test-rlb-observer"},
        "PodMonitor/test-rlb-sidecar": {"chat"},
        "NetworkPolicy/test-rlb-observer": {"test-rlb-observer"},
        "NetworkPolicy/test-rlb-sidecar": {"chat"},
    }


def test_a_monitor_of_the_cluster_finds_sidecars_of_other_releases(objects: Rendered) -> None:
    values = {**EVERYTHING, "podMonitor": {"enabled": True, "scope": "cluster"}}
    monitors = {
        item["metadata"]["name"]: item["spec"]
        for item in HELM_4.render(CHART, values, release="platform")
        if item["kind"] == "PodMonitor"
    }
    of_sidecars = monitors["platform-rlb-sidecar"]
    assert of_sidecars["namespaceSelector"] == {"any": True}
    labels = next(item for item in objects if item["metadata"]["name"] == "chat")["spec"]["template"]["metadata"]
    assert of_sidecars["selector"]["matchLabels"].items() <= labels["labels"].items()
    assert monitors["platform-rlb-observer"]["namespaceSelector"] == {"matchNames": ["llm"]}


def test_selectors_hold_nothing_that_a_new_version_changes(objects: Rendered) -> None:
    for _, labels in selectors(objects):
        assert not {"app.kubernetes.io/version", "helm.sh/chart", "team"} & set(labels)


def test_config_maps_and_accounts_that_are_named_are_there(objects: Rendered) -> None:
    made = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    for pod in pod_specs(objects):
        if account := pod.get("serviceAccountName"):
            assert ("ServiceAccount", account) in made
        for volume in pod["volumes"]:
            if source := volume.get("configMap"):
                data = made["ConfigMap", source["name"]]["data"]
                assert {item["key"] for item in source["items"]} <= set(data)


def test_probes_and_monitors_name_a_port_that_is_there(objects: Rendered) -> None:
    for pod in pod_specs(objects):
        for container in containers(pod):
            ports = {port["name"] for port in container.get("ports", ())}
            probes = [container.get(f"{name}Probe", {}) for name in ("startup", "readiness", "liveness")]
            assert {probe["httpGet"]["port"] for probe in probes if "httpGet" in probe} <= ports
    for item in objects:
        if item["kind"] == "PodMonitor":
            assert [endpoint["port"] for endpoint in item["spec"]["podMetricsEndpoints"]] == ["rlb-metrics"]


def test_grafanas_operator_gets_what_its_resource_has_and_finds_the_text(objects: Rendered) -> None:
    """Its types are on no registry: the fields are those of its CustomResourceDefinition."""
    texts = {item["metadata"]["name"]: item for item in objects if item["kind"] == "ConfigMap"}
    found = [item for item in objects if item["kind"] == "GrafanaDashboard"]
    assert found
    for item in found:
        spec = item["spec"]
        assert set(spec) == {"instanceSelector", "folder", "allowCrossNamespaceImport", "resyncPeriod", "configMapRef"}
        assert set(spec["configMapRef"]) == {"name", "key"}
        text = texts[spec["configMapRef"]["name"]]
        assert text["metadata"]["namespace"] == item["metadata"]["namespace"] == "monitoring"
        assert spec["configMapRef"]["key"] in text["data"]


def test_a_long_name_stays_within_what_kubernetes_takes(engine: Engine) -> None:
    objects = engine.render(CHART, {**EVERYTHING, "grafanaDashboards": {}}, release="r" * 53)
    for item in objects:
        assert len(item["metadata"]["name"]) <= 63
        for labels in (item["metadata"]["labels"], *(wanted for _, wanted in selectors([item]))):
            assert all(LABEL_VALUE.fullmatch(value) for value in labels.values())


def test_a_release_named_like_the_chart_says_so_once(engine: Engine) -> None:
    names = {item["metadata"]["name"] for item in engine.render(CHART, {"redis": {"url": "redis://r"}}, release="rlb")}
    assert names == {"rlb-observer", "rlb-sidecar"}


@pytest.mark.parametrize("word", ["123", "true", "null", "1e3"])
def test_a_name_that_looks_like_something_else_stays_text(engine: Engine, word: str) -> None:
    """YAML would read it as a number, a switch or nothing."""
    values = {
        **EVERYTHING,
        "nameOverride": word,
        "redis": {"url": "redis://redis", "auth": {"existingSecret": word, "passwordKey": word}},
        "image": {"pullSecrets": [word], "tag": word},
        "grafanaDashboards": {},
        "commonLabels": {"team": word},
    }
    for item in engine.render(CHART, values, release=word, namespace=word):
        if not item["apiVersion"].startswith("monitoring.coreos.com"):
            kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)
        assert item["metadata"]["labels"]["app.kubernetes.io/instance"] == word
        assert item["metadata"]["namespace"] == word
