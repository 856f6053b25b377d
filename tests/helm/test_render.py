"""The chart renders to the same objects with both engines, and clusters, operators and policies accept them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rlb import __version__
from rlb.settings import load_settings
from tests.helm.conftest import rendered_case
from tests.helm.generated import CASES
from tests.helm.pods import containers, pod_specs, violations, volumes_without_mounts
from tests.support import typescript
from tests.support.helm import CHART, HELM_3, HELM_4, Engine, RefusedError, needs_helm_3, needs_helm_4

OPERATORS = ("keda.sh", "monitoring.coreos.com", "grafana.integreatly.org")
OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()

Rendered = list[dict[str, Any]]


def test_both_engines_render_the_same(objects: Rendered, objects_of_helm_3: Rendered) -> None:
    assert objects
    assert objects == objects_of_helm_3


def test_linters_have_nothing_to_say(engine: Engine, case_values: Mapping[str, Any]) -> None:
    assert engine.lint(CHART, case_values) == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(objects: Rendered, version: str) -> None:
    for item in objects:
        if not item["apiVersion"].startswith(OPERATORS):
            kubernetes_validate.validate(item, version, strict=True)


@needs_helm_4
@pytest.mark.timeout(300)
def test_operators_know_every_field(light_chart: Path) -> None:
    custom = [item for case in CASES for item in rendered_case(light_chart, case, HELM_4)]
    custom = [item for item in custom if item["kind"] in typescript.KUBERNETES]
    assert {item["kind"] for item in custom} == {"PodMonitor", "PrometheusRule", "ScaledObject"}
    files = {f"object{number}.ts": typescript.custom_resource(item) for number, item in enumerate(custom)}
    assert typescript.check(files) == []


def test_every_pod_meets_the_restricted_profile(objects: Rendered) -> None:
    for pod in pod_specs(objects):
        assert list(violations(pod)) == []
        assert pod["automountServiceAccountToken"] is False


def test_the_check_of_the_profile_finds_what_is_wrong() -> None:
    pod = {"hostNetwork": True, "volumes": [{"name": "v", "hostPath": {}}], "containers": [{"name": "c"}]}
    assert list(violations(pod)) == [
        *("hostNetwork", "volume v", "c: allowPrivilegeEscalation", "c: capabilities"),
        *("c: runAsNonRoot", "c: seccompProfile"),
    ]


def test_containers_have_a_read_only_root_and_a_limit_of_memory(objects: Rendered) -> None:
    for pod in pod_specs(objects):
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "memory" in container["resources"]["limits"]
            assert "cpu" not in container["resources"]["limits"]
            assert "preStop" not in container.get("lifecycle", {})


def test_every_volume_is_mounted(objects: Rendered) -> None:
    for pod in pod_specs(objects):
        assert volumes_without_mounts(pod) == set()


def test_secrets_are_files(objects: Rendered) -> None:
    """No password in a variable, and none in the text of any object."""
    for item in objects:
        assert item["kind"] != "Secret"
    for pod in pod_specs(objects):
        for container in containers(pod):
            named = {variable["name"] for variable in container["env"]}
            assert not {name for name in named if "REDIS" in name}


def test_every_object_is_labelled_and_placed(objects: Rendered) -> None:
    for item in objects:
        metadata = item["metadata"]
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", metadata["name"])
        assert metadata["namespace"]
        assert metadata["labels"]["app.kubernetes.io/instance"] == "test"
        assert metadata["labels"]["app.kubernetes.io/version"] == __version__


@needs_helm_4
def test_every_dashboard_comes_whole_in_a_config_map_of_its_own() -> None:
    """Braces for Grafana included, and none above the mebibyte that the API takes."""
    values = {"redis": {"url": "redis://redis"}, "grafanaDashboards": {"enabled": True}}
    found = [item for item in HELM_4.render(CHART, values) if "grafana_dashboard" in item["metadata"]["labels"]]
    sources = {file.name: file.read_text() for file in (CHART / "files" / "dashboards").iterdir()}
    assert sources
    assert {key: json.loads(text) for item in found for key, text in item["data"].items()} == {
        name: json.loads(text) for name, text in sources.items()
    }
    for item in found:
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert item["metadata"]["annotations"] == {"grafana_folder": "rlb"}
        (text,) = item["data"].values()
        assert len(text.encode()) < 2**20


@needs_helm_4
@pytest.mark.parametrize("api", ["monitoring.coreos.com/v1", "grafana.integreatly.org/v1beta1"])
def test_automatic_objects_come_where_their_api_is(api: str) -> None:
    automatic = {"enabled": "auto"}
    values = {
        "redis": {"url": "redis://redis"},
        "podMonitor": automatic,
        "prometheusRule": automatic,
        "grafanaDashboards": {"enabled": True, "operator": automatic},
    }

    def apis(*served: str) -> set[str]:
        return {item["apiVersion"] for item in HELM_4.render(CHART, values, api_versions=served)}

    assert apis(api) - apis() == {api}


def test_rlb_reads_the_settings(objects: Rendered, case_values: Mapping[str, Any], tmp_path: Path) -> None:
    """The file of each role is one of rlb's settings, and says what the values say."""
    found = [item for item in objects if item["kind"] == "ConfigMap" and "rlb.yaml" in item["data"]]
    assert found
    for item in found:
        file = tmp_path / "rlb.yaml"
        file.write_text(item["data"]["rlb.yaml"])
        settings = load_settings(file, environ={})
        assert settings.redis.url == case_values["redis"]["url"]
        role = item["metadata"]["labels"]["app.kubernetes.io/component"]
        for given in (case_values.get("config", {}), case_values.get(role, {}).get("config", {})):
            for section, fields in given.items():
                for field, value in fields.items():
                    shown = getattr(getattr(settings, section), field)
                    assert (list(shown) if isinstance(shown, tuple) else shown) == value
        if role == "sidecar":
            assert str(settings.socket.path) == "/run/rlb/rlb.sock"
            assert settings.socket.folder == "shared"


def test_the_chart_has_the_versions_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


@needs_helm_3
def test_an_old_kubernetes_is_refused() -> None:
    """By Helm, which compares versions before it renders; the library of Helm 4 renders without a look."""
    with pytest.raises(RefusedError, match=r"1\.29"):
        HELM_3.render(CHART, {"redis": {"url": "redis://redis"}}, kube_version="v1.28.9")
