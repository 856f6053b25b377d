"""The sidecar in the chart of a user: the example of the README, with both engines, and what else a user may do."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.helm.pods import violations, volumes_without_mounts
from tests.helm.user_chart import user_chart
from tests.support.helm import CHART, HELM_4, Engine, RefusedError, needs_helm_4

Object = dict[str, Any]
DEPLOYMENT = "templates/deployment.yaml"


def pod_of(objects: list[Object], name: str = "chat") -> Object:
    """The template of the pod of a Deployment."""
    found: Object = next(
        item["spec"]["template"]
        for item in objects
        if item["kind"] == "Deployment" and item["metadata"]["name"] == name
    )
    return found


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_the_example_is_a_chart_that_kubernetes_takes(engine: Engine, version: str) -> None:
    with user_chart() as chart:
        objects = engine.render(chart)
        assert engine.lint(chart, {}) == []
    assert {item["kind"] for item in objects} == {"ConfigMap", "Deployment"}
    for item in objects:
        # A chart of a user may leave the namespace to the command line.
        kubernetes_validate.validate(item, version, strict=True)
    pod = pod_of(objects)["spec"]
    assert list(violations(pod)) == []
    assert volumes_without_mounts(pod) == set()


def test_the_pod_reads_the_config_map_that_the_dependency_makes(engine: Engine) -> None:
    with user_chart() as chart:
        objects = engine.render(chart, release="prod")
    volumes = {volume["name"]: volume for volume in pod_of(objects)["spec"]["volumes"]}
    made = {item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap"}
    assert {volumes["rlb-config"]["configMap"]["name"]} == made == {"prod-rlb-sidecar"}


def test_the_sidecar_starts_first_and_stops_last(engine: Engine) -> None:
    with user_chart() as chart:
        spec = pod_of(engine.render(chart))["spec"]
    (sidecar,) = spec["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["exec"]["command"] == ["rlb", "health", "live"]
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert sidecar["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert "lifecycle" not in sidecar


def test_without_native_sidecars_it_is_one_container_of_many(engine: Engine) -> None:
    with user_chart() as chart:
        change(chart / DEPLOYMENT, "      initContainers:\n", "      containers:\n")
        change(chart / DEPLOYMENT, "      containers:\n        - name: chat", "        - name: chat")
        spec = pod_of(engine.render(chart, {"rlb": {"sidecar": {"native": False}}}))["spec"]
    assert [container["name"] for container in spec["containers"]] == ["rlb", "chat"]
    assert all("restartPolicy" not in container for container in spec["containers"])


def test_new_settings_roll_the_pods(engine: Engine) -> None:
    """And a change that is none for the sidecar does not."""

    def annotations(**values: Any) -> object:
        return pod_of(engine.render(chart, {"rlb": values}))["metadata"]["annotations"]

    with user_chart() as chart:
        before = annotations()
        assert annotations(config={"log": {"level": "debug"}}) != before
        assert annotations(observer={"config": {"log": {"level": "debug"}}}) == before


def test_strict_readiness_asks_redis(engine: Engine) -> None:
    with user_chart() as chart:
        objects = engine.render(chart, {"rlb": {"sidecar": {"readinessProbe": {"redis": True}}}})
    (sidecar,) = pod_of(objects)["spec"]["initContainers"]
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/readyz?redis=1"
    assert "redis" not in sidecar["readinessProbe"]


def test_without_a_port_the_socket_is_asked(engine: Engine) -> None:
    with user_chart() as chart:
        (sidecar,) = pod_of(engine.render(chart, {"rlb": {"metrics": {"port": 0}}}))["spec"]["initContainers"]
    assert "ports" not in sidecar
    assert sidecar["readinessProbe"]["exec"]["command"] == ["rlb", "health", "ready"]
    assert sidecar["livenessProbe"]["exec"]["command"] == ["rlb", "health", "live"]


def test_where_the_platform_chooses_users_the_pod_says_nothing_of_groups(engine: Engine) -> None:
    with user_chart() as chart:
        objects = engine.render(chart, {"rlb": {"securityContext": {"runAsUser": None, "runAsGroup": None}}})
    spec = pod_of(objects)["spec"]
    assert spec["securityContext"] == {}
    assert spec["initContainers"][0]["securityContext"].keys() & {"runAsUser", "runAsGroup"} == set()


def test_big_numbers_stay_whole(engine: Engine) -> None:
    """Helm takes them for floats on some ways, and would write 33554432 as 3.3554432e+07."""
    with user_chart() as chart:
        objects = engine.render(chart, {"rlb": {"config": {"append": {"buffer_bytes": 33554432}}}})
    (text,) = (item["data"]["rlb.yaml"] for item in objects if item["kind"] == "ConfigMap")
    assert "buffer_bytes: 33554432\n" in text


def test_an_alias_names_its_subchart(engine: Engine) -> None:
    with user_chart() as chart:
        change(chart / "Chart.yaml", "  - name: rlb\n", "  - name: rlb\n    alias: bridge\n")
        change(chart / "values.yaml", "rlb:\n", "bridge:\n")
        file = chart / DEPLOYMENT
        file.write_text(file.read_text().replace('" . |', '" .Subcharts.bridge |'))
        objects = engine.render(chart)
        file.write_text(file.read_text().replace(".Subcharts.bridge |", ". |"))
        with pytest.raises(RefusedError, match=r"no dependency is named rlb here; under an alias, pass \.Subcharts"):
            engine.render(chart)
    volumes = {volume["name"]: volume for volume in pod_of(objects)["spec"]["volumes"]}
    made = {item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap"}
    assert {volumes["rlb-config"]["configMap"]["name"]} == made


def test_a_dependency_that_is_switched_off_is_told(engine: Engine) -> None:
    with user_chart() as chart:
        change(chart / "Chart.yaml", "  - name: rlb\n", "  - name: rlb\n    condition: rlb.enabled\n")
        assert engine.render(chart, {"rlb": {"enabled": True}})
        # By Helm, which leaves the templates out with the rest.
        with pytest.raises(RefusedError, match=r"rlb\.sidecar\.podLabels"):
            engine.render(chart, {"rlb": {"enabled": False}})


def test_wrong_values_of_the_dependency_are_refused_with_their_path(engine: Engine) -> None:
    with user_chart() as chart, pytest.raises(RefusedError, match="/sidecar/socketPath"):
        engine.render(chart, {"rlb": {"sidecar": {"socketPath": "relative.sock"}}})


@needs_helm_4
def test_the_dependency_can_be_fetched_from_a_folder(tmp_path: Path) -> None:
    """As `helm dependency update` does it; what comes is the chart without examples and tests."""
    import helm_python

    with user_chart(with_dependency=False) as chart:
        change(chart / "Chart.yaml", "file://../helm/rlb", f"file://{CHART}")
        helm_python.dependency_update(chart)
        (archive,) = (chart / "charts").iterdir()
        with tarfile.open(archive) as packed:
            names = packed.getnames()
        assert pod_of(HELM_4.render(chart))
    assert "rlb/values.schema.json" in names
    assert not [name for name in names if name.startswith(("rlb/ci", "rlb/rendered"))]


def test_a_chart_of_charts_finds_it_one_level_down(engine: Engine, tmp_path: Path) -> None:
    """The templates are called by the chart that depends on rlb, itself a dependency here."""
    umbrella = tmp_path / "umbrella"
    umbrella.mkdir()
    dependency = {"name": "chat", "version": "1.0.0", "repository": ""}
    (umbrella / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": [dependency]})
    )
    with user_chart() as chart:
        shutil.copytree(chart, umbrella / "charts" / "chat")
    assert pod_of(engine.render(umbrella, {"chat": {"rlb": {"sidecar": {"name": "bridge"}}}}))["spec"][
        "initContainers"
    ][0]["name"] == ("bridge")
