"""The dashboards fit Grafana's own types, each panel those of its kind; and what does not fit is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards.boards import Board, boards
from tests.dashboards.schema import module
from tests.support import typescript

pytestmark = pytest.mark.timeout(300)  # the first one of all installs the packages

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GOOD: dict[str, Any] = {
    "uid": "good",
    "schemaVersion": 42,
    "graphTooltip": 1,
    "editable": False,
    "panels": [
        {
            "id": 1,
            "type": "timeseries",
            "title": "Tokens",
            "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
            "datasource": SOURCE,
            "fieldConfig": {
                "defaults": {"unit": "cps", "custom": {"lineWidth": 1, "drawStyle": "line"}},
                "overrides": [],
            },
            "options": {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}},
            "targets": [{"refId": "A", "expr": "up", "range": True, "datasource": SOURCE}],
        }
    ],
}

WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "a misspelt key of a dashboard": lambda it: it.update(editible=False),
    "a text for a number": lambda it: it["panels"][0]["gridPos"].update(w="12"),
    "a misspelt key of a panel": lambda it: it["panels"][0].update(feildConfig={}),
    "a misspelt default of a field": lambda it: it["panels"][0]["fieldConfig"]["defaults"].update(desplayName="a"),
    "a misspelt option of a field": lambda it: it["panels"][0]["fieldConfig"]["defaults"]["custom"].update(lineWith=1),
    "a value that no option has": lambda it: it["panels"][0]["fieldConfig"]["defaults"]["custom"].update(drawStyle="x"),
    "an option of another kind of panel": lambda it: it["panels"][0]["options"].update(colorMode="value"),
    "a misspelt key of a query": lambda it: it["panels"][0]["targets"][0].update(legend="{{model}}"),
    "a version as a text": lambda it: it.update(schemaVersion="42"),
}


def test_the_dashboards_fit() -> None:
    assert typescript.check({f"{board.uid}.ts": module(board) for board in boards()}) == []


def test_what_does_not_fit_is_found() -> None:
    """Each mistake by itself, and none in what is good."""
    files = {"good.ts": module(Board(GOOD))}
    for number, breaks in enumerate(WRONG.values()):
        wrong = copy.deepcopy(GOOD)
        breaks(wrong)
        files[f"wrong{number}.ts"] = module(Board(wrong))
    found = typescript.check(files)
    assert not [line for line in found if line.startswith("good.ts")]
    for number, what in enumerate(WRONG):
        assert any(line.startswith(f"wrong{number}.ts(") for line in found), what
