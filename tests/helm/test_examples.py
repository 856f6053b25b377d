"""The example beside vLLM is a chart that Helm and Kubernetes take, and rlb's part of it is restricted."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest

from tests.helm import examples
from tests.helm.pods import containers, violations, volumes_without_mounts
from tests.support import typescript
from tests.support.example_chart import EXAMPLES, with_dependency
from tests.support.helm import HELM_4, MONITORING_APIS, Engine, needs_helm_4

HOST = re.compile(r"^[^/]*[.:][^/]*/")
"""What an image's name begins with if it names a registry's host."""

VALUES: list[dict[str, Any]] = [
    {},
    {
        "vllm": {"hubToken": {"existingSecret": "hub"}, "cache": {"existingClaim": "weights"}},
        "rlb": {"redis": {"auth": {"existingSecret": "redis"}}, "observer": {"enabled": True}},
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    },
]


def pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = next(
        item["spec"]["template"]["spec"]
        for item in objects
        if item["kind"] == "Deployment" and item["metadata"]["name"] == "mistral"
    )
    return found


def monitors(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in objects if item["kind"] == "PodMonitor"]


@pytest.mark.parametrize("values", VALUES, ids=["default", "all"])
def test_kubernetes_takes_it(engine: Engine, values: dict[str, Any]) -> None:
    objects = examples.vllm(engine, values)
    for item in objects:
        for version in ("1.29", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(item, version, strict=True)
    spec = pod(objects)
    assert volumes_without_mounts(spec) == set()
    assert not [image for container in containers(spec) if HOST.match(image := container["image"])]


def test_the_linter_has_nothing_to_say(engine: Engine, tmp_path: Any) -> None:
    assert engine.lint(with_dependency("vllm", tmp_path), {}) == []


@needs_helm_4
@pytest.mark.timeout(300)  # the first use of TypeScript installs it
def test_the_model_server_is_scraped_where_there_is_an_operator(tmp_path: Any) -> None:
    """By a port that the pod has and labels that it carries; the sidecar beside it has a PodMonitor of its own."""
    chart = with_dependency("vllm", tmp_path)
    objects = HELM_4.render(chart, release="mistral", api_versions=MONITORING_APIS)
    assert (
        typescript.check({f"{n}.ts": typescript.custom_resource(item) for n, item in enumerate(monitors(objects))})
        == []
    )
    (deployment,) = (item for item in objects if item["kind"] == "Deployment")
    ports = {port["name"] for container in containers(pod(objects)) for port in container.get("ports", [])}
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    of_vllm = [item for item in monitors(objects) if item["metadata"]["name"] == "mistral-vllm"]
    assert len(of_vllm) == 1
    for item in monitors(objects):
        assert {endpoint["port"] for endpoint in item["spec"]["podMetricsEndpoints"]} <= ports
        assert item["spec"]["selector"]["matchLabels"].items() <= labels


@needs_helm_4
def test_only_the_model_server_needs_more_than_the_restricted_profile() -> None:
    """It runs as root, as its image is made; that is all, so that the namespace may be `baseline`."""
    assert list(violations(pod(examples.vllm()))) == ["vllm: runAsNonRoot"]


@needs_helm_4
def test_the_sidecar_has_its_time_after_the_gateway() -> None:
    """The gateway drains first; what is left then is enough for the sidecar's own drain."""
    values = {"gateway": {"drainSeconds": 90}}
    spec = pod(examples.vllm(HELM_4, values))
    (gateway,) = [container for container in spec["containers"] if container["name"] == "gateway"]
    drain_s = next(float(each["value"]) for each in gateway["env"] if each["name"] == "DRAIN_SECONDS")
    assert drain_s == 90
    assert spec["terminationGracePeriodSeconds"] - drain_s > 10
    assert spec["initContainers"][0]["restartPolicy"] == "Always"


@needs_helm_4
def test_the_script_of_the_gateway_goes_along_as_it_is() -> None:
    (config_map,) = [item for item in examples.vllm() if item["metadata"]["name"] == "mistral-gateway"]
    assert config_map["data"] == {"gateway.py": (EXAMPLES / "vllm" / "files" / "gateway.py").read_text()}
