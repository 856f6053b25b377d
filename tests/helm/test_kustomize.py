"""What kustomize makes of the components is what the chart makes, and Kubernetes takes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rlb.settings import load_settings
from tests.helm import examples, kustomized
from tests.helm.pods import violations, volumes_without_mounts
from tests.support.helm import has_helm_4

pytestmark = pytest.mark.skipif(not has_helm_4() or not examples.has_kubectl(), reason="no kubectl or no Helm 4 here")

Object = dict[str, Any]


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    """The example, built."""
    return examples.kustomized()


def deployment(objects: list[Object], name: str) -> Object:
    found: Object = next(item for item in objects if item["kind"] == "Deployment" and item["metadata"]["name"] == name)
    return found


def without_sums(spec: Object) -> Object:
    """A spec whose ConfigMaps have the names that they were written with."""
    plain: Object = yaml.safe_load(re.sub(r"\b(rlb-(?:sidecar|observer))-[a-z0-9]{10}\b", r"\1", yaml.safe_dump(spec)))
    return plain


def test_kubernetes_takes_it(objects: list[Object]) -> None:
    for item in objects:
        for version in ("1.29", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(item, version, strict=True)
    for name in ("chat", "rlb-observer"):
        spec = deployment(objects, name)["spec"]["template"]["spec"]
        assert list(violations(spec)) == []
        assert volumes_without_mounts(spec) == set()


def test_the_sidecar_is_that_of_the_chart(objects: list[Object]) -> None:
    """The container, its volumes, and what the pod has for them."""
    template = deployment(objects, "chat")["spec"]["template"]
    chart = kustomized.sidecar_pod(kustomized.AUTH)
    here, there = without_sums(template["spec"]), chart["spec"]
    assert by(here["initContainers"][0]["volumeMounts"], "name") == by(
        there["initContainers"][0]["volumeMounts"], "name"
    )
    for spec in (here, there):
        del spec["initContainers"][0]["volumeMounts"]
    assert here["initContainers"] == there["initContainers"]
    assert by(here["volumes"], "name") == by(there["volumes"], "name")
    assert here["securityContext"] == there["securityContext"]
    assert template["metadata"]["labels"] == {**chart["metadata"]["labels"], "app": "chat"}


def by(items: list[Object], key: str) -> dict[str, Object]:
    """A list as kustomize merges it: the order is none of its business."""
    return {item[key]: item for item in items}


def test_the_app_keeps_what_it_had(objects: list[Object]) -> None:
    app = yaml.safe_load((kustomized.KUSTOMIZE / "example" / "app.yaml").read_text())["spec"]["template"]["spec"]
    spec = deployment(objects, "chat")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert {key: container[key] for key in app["containers"][0]} == app["containers"][0]
    (mount,) = container["volumeMounts"]
    assert mount in [{**each, "readOnly": True} for each in spec["initContainers"][0]["volumeMounts"]]
    assert spec["terminationGracePeriodSeconds"] == app["terminationGracePeriodSeconds"]


def test_the_observer_is_that_of_the_chart(objects: list[Object]) -> None:
    here = without_sums(deployment(objects, "rlb-observer")["spec"])
    there = next(item for item in kustomized.chart_objects(kustomized.AUTH) if item["kind"] == "Deployment")["spec"]
    for spec in (here, there):
        pod = spec["template"]["spec"]
        pod["volumes"] = by(pod["volumes"], "name")
        pod["containers"][0]["volumeMounts"] = by(pod["containers"][0]["volumeMounts"], "name")
    assert here == there


def test_new_settings_roll_the_pods(objects: list[Object]) -> None:
    """By the names of the ConfigMaps, which kustomize puts in place."""
    made = {item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap"}
    pods = [deployment(objects, name)["spec"]["template"]["spec"] for name in ("chat", "rlb-observer")]
    named = {volume["configMap"]["name"] for pod in pods for volume in pod["volumes"] if "configMap" in volume}
    assert named == made
    assert {name.rpartition("-")[0] for name in made} == {"rlb-sidecar", "rlb-observer"}


def test_rlb_reads_the_settings(objects: list[Object], tmp_path: Path) -> None:
    for config_map in (item for item in objects if item["kind"] == "ConfigMap"):
        path = tmp_path / "rlb.yaml"
        path.write_text(config_map["data"]["rlb.yaml"])
        settings = load_settings(path, environ={})
        (volume,) = kustomized.sidecar_pod(kustomized.AUTH)["spec"]["volumes"][2:]
        assert settings.redis.password_file == Path("/etc/rlb/redis", volume["secret"]["items"][0]["path"])
        assert settings.metrics.host == "0.0.0.0"


def test_monitors_find_the_pods(objects: list[Object]) -> None:
    monitors = examples.kustomized(kustomized.KUSTOMIZE / "podmonitor")
    chosen = {item["metadata"]["name"]: item["spec"]["selector"]["matchLabels"].items() for item in monitors}
    for name, monitor in (("chat", "rlb-sidecar"), ("rlb-observer", "rlb-observer")):
        assert chosen[monitor] <= deployment(objects, name)["spec"]["template"]["metadata"]["labels"].items()
