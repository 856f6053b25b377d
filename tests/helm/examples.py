"""The examples, rendered: the chart beside vLLM by Helm, an app with kustomize by kubectl."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.helm.kustomized import KUSTOMIZE
from tests.support.example_chart import EXAMPLES, with_dependency
from tests.support.helm import HELM_4, Engine

RENDERED = EXAMPLES / "rendered"

Object = dict[str, Any]


def has_kubectl() -> bool:
    """Whether kustomize is here, which is part of kubectl."""
    return shutil.which("kubectl") is not None


def vllm(engine: Engine = HELM_4, values: Mapping[str, Any] | None = None) -> list[Object]:
    """The objects of the chart beside vLLM."""
    with tempfile.TemporaryDirectory(prefix="rlb-example-") as folder:
        return engine.render(with_dependency("vllm", Path(folder)), values or {}, release="mistral")


def kustomized(folder: Path = KUSTOMIZE / "example") -> list[Object]:
    """The objects that kustomize makes of a folder, ordered by kind and name."""
    command = ["kubectl", "kustomize", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert built.stderr == "", built.stderr
    objects = list(yaml.safe_load_all(built.stdout))
    return sorted(objects, key=lambda item: (item["kind"], item["metadata"]["name"]))


def generated() -> Iterator[tuple[Path, str, list[Object]]]:
    """Each file, what it is of, and the objects in it."""
    yield RENDERED / "vllm.yaml", "helm/examples/vllm", vllm()
    if has_kubectl():
        yield RENDERED / "kustomize.yaml", "helm/kustomize/example", kustomized()
