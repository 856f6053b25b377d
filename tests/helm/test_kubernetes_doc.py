"""What docs/kubernetes.md says to type works, as far as it goes without a cluster."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm import examples
from tests.helm.kustomized import KUSTOMIZE
from tests.support.example_chart import with_dependency
from tests.support.helm import CHART, HELM_4, MONITORING_APIS, REPOSITORY, needs_helm_4
from tests.support.image import read_stages

DOC = REPOSITORY / "docs" / "kubernetes.md"


def commands(beginning: str) -> list[list[str]]:
    """The commands in the text that begin so, as words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOC.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.startswith(beginning)]
    assert found, f"nothing begins with {beginning}"
    return found


def values(command: list[str]) -> dict[str, Any]:
    """What `--set` gives."""
    tree: dict[str, Any] = {}
    for option, text in pairwise(command):
        if option == "--set":
            path, _, value = text.partition("=")
            *sections, name = path.split(".")
            place = tree
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = yaml.safe_load(value)
    return tree


@needs_helm_4
def test_the_charts_take_the_values(tmp_path: Path) -> None:
    observer, vllm = commands("helm install")
    assert REPOSITORY / observer[3] == CHART
    objects = HELM_4.render(CHART, values(observer), api_versions=MONITORING_APIS)
    assert {"Deployment", "PodMonitor", "PrometheusRule"} <= {item["kind"] for item in objects}
    assert [item for item in objects if item["metadata"]["name"].startswith("test-rlb-dashboard-")]
    assert (REPOSITORY / vllm[3]).is_dir()
    objects = HELM_4.render(with_dependency("vllm", tmp_path), values(vllm), release=vllm[2])
    (service,) = [item for item in objects if item["kind"] == "Service"]
    (forward,) = commands("kubectl --namespace llm port-forward")
    assert forward[4] == f"service/{service['metadata']['name']}"
    assert forward[5].endswith(f":{service['spec']['ports'][0]['port']}")


@pytest.mark.skipif(not examples.has_kubectl(), reason="no kubectl here")
def test_the_folders_of_kustomize_can_be_built() -> None:
    (command,) = commands("kubectl kustomize")
    assert REPOSITORY / command[2] == KUSTOMIZE / "example"
    described = set(re.findall(r"^\| `([a-z-]+)` \|", DOC.read_text(), flags=re.MULTILINE))
    assert described == {folder.name for folder in KUSTOMIZE.iterdir() if folder.is_dir()}
    for name in ("observer", "podmonitor"):
        assert examples.kustomized(KUSTOMIZE / name)


@pytest.mark.parametrize("number", [0, 1])
def test_the_users_are_printed(number: int, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse")
    _, *words = commands("rlb acl")[number]
    ran = subprocess.run(
        [sys.executable, "-m", "rlb.cli", *words], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.startswith("ACL SETUSER rlb")


def test_the_image_is_built_with_arguments_that_there_are() -> None:
    (command,) = commands("docker build")
    (argument,) = [text.partition("=")[0] for option, text in pairwise(command) if "arg" in option]
    assert argument in read_stages()[-1].arguments
    assert command[command.index("--tag") + 1] == "redis-llm-bridge:" + yaml.safe_load(
        (CHART / "Chart.yaml").read_text()
    ).get("appVersion")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", DOC.read_text().replace("\n", " ")):
        assert (DOC.parent / target).exists(), target
