"""Each rule of the linter finds what it is for, and has nothing to say of a good dashboard."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards.boards import Board
from tests.dashboards.lint_rules import RULES

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def chosen(name: str) -> dict[str, Any]:
    """A good variable for a label."""
    return {
        "name": name,
        "label": name.title(),
        "type": "query",
        "query": {"query": f'label_values(rlb_build_info{{namespace=~"$namespace"}}, {name})', "refId": "A"},
        "datasource": SOURCE,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "refresh": 2,
    }


GOOD: dict[str, Any] = {
    "uid": "good",
    "editable": False,
    "templating": {
        "list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            {**chosen("namespace"), "allValue": ".*"},
            chosen("job"),
            chosen("instance"),
        ]
    },
    "panels": [
        {"type": "row", "title": "Traffic"},
        {
            "type": "timeseries",
            "title": "Tokens",
            "description": "What apps send.",
            "datasource": SOURCE,
            "fieldConfig": {"defaults": {"unit": "cps"}, "overrides": []},
            "targets": [
                {
                    "refId": "A",
                    "datasource": SOURCE,
                    "expr": 'sum(rate(rlb_ingest_tokens_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))',
                }
            ],
        },
        {"type": "text", "title": "", "options": {"content": "Read this."}},
    ],
}


def variable(board: dict[str, Any], at: int) -> dict[str, Any]:
    found: dict[str, Any] = board["templating"]["list"][at]
    return found


def panel(board: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = board["panels"][1]
    return found


def asking(expr: str) -> Callable[[dict[str, Any]], object]:
    """The same dashboard with another query."""
    return lambda board: panel(board)["targets"][0].update(expr=expr)


WITHIN = '{job=~"$job", instance=~"$instance"}'
BROKEN: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("template-datasource-rule", lambda board: board["templating"]["list"].pop(0)),
    ("template-datasource-rule", lambda board: variable(board, 0).update(name="source")),
    ("template-datasource-rule", lambda board: variable(board, 0).update(label="Source")),
    ("template-datasource-rule", lambda board: variable(board, 0).update(query="loki")),
    ("template-job-rule", lambda board: board["templating"]["list"].pop(2)),
    ("template-job-rule", lambda board: variable(board, 2).update(multi=False)),
    ("template-job-rule", lambda board: variable(board, 2).update(label="job")),
    ("template-instance-rule", lambda board: variable(board, 3).update(allValue=None)),
    ("template-instance-rule", lambda board: variable(board, 3).update(datasource={"uid": "prom-1"})),
    ("template-instance-rule", lambda board: variable(board, 3).update(type="custom")),
    ("template-label-promql-rule", lambda board: variable(board, 2).update(query='label_values(up{job="a}, job)')),
    ("template-label-promql-rule", lambda board: variable(board, 2).update(query="up")),
    ("template-on-time-change-reload-rule", lambda board: variable(board, 1).update(refresh=1)),
    ("panel-datasource-rule", lambda board: panel(board).update(datasource={"uid": "prom-1"})),
    ("panel-datasource-rule", lambda board: panel(board)["targets"][0].pop("datasource")),
    ("panel-title-description-rule", lambda board: panel(board).update(title=" ")),
    ("panel-title-description-rule", lambda board: panel(board).pop("description")),
    ("panel-units-rule", lambda board: panel(board)["fieldConfig"]["defaults"].pop("unit")),
    ("panel-units-rule", lambda board: panel(board)["fieldConfig"]["defaults"].update(unit="tokens")),
    (
        "panel-units-rule",
        lambda board: panel(board)["fieldConfig"]["overrides"].append({"properties": [{"id": "unit", "value": "sec"}]}),
    ),
    ("panel-units-rule", lambda board: panel(board).update(type="heatmap")),
    (
        "panel-units-rule",
        lambda board: panel(board).update(
            type="table", fieldConfig={"overrides": [{"properties": [{"id": "unit", "value": "sec"}]}]}
        ),
    ),
    ("panel-no-targets-rule", lambda board: panel(board).update(targets=[])),
    ("target-promql-rule", asking(f"sum(rate(up{WITHIN}[$__rate_interval])")),
    ("target-promql-rule", asking(f"sum(up{WITHIN}) > $bound")),
    ("target-rate-interval-rule", asking(f"rate(rlb_ingest_tokens_total{WITHIN}[5m])")),
    ("target-rate-interval-rule", asking(f"sum(irate(rlb_ingest_tokens_total{WITHIN}[$__interval]))")),
    ("target-job-rule", asking('up{instance=~"$instance"}')),
    ("target-job-rule", asking(f'up{WITHIN} / on (job) up{{job="$job", instance=~"$instance"}}')),
    ("target-instance-rule", asking('up{job=~"$job", instance=~".*"}')),
    ("target-counter-agg-rule", asking(f"sum(rlb_ingest_tokens_total{WITHIN})")),
    ("uneditable-dashboard-rule", lambda board: board.pop("editable")),
]


def found_in(board: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    return {name: found for name, rule in RULES.items() if (found := list(rule(Board(board))))}


def test_a_good_dashboard_is_let_through() -> None:
    assert found_in(GOOD) == {}


@pytest.mark.parametrize(("rule", "breaks"), BROKEN, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(BROKEN)])
def test_what_is_wrong_is_found(rule: str, breaks: Callable[[dict[str, Any]], object]) -> None:
    board = copy.deepcopy(GOOD)
    breaks(board)
    assert rule in found_in(board)


def test_every_rule_is_tried() -> None:
    assert {rule for rule, _ in BROKEN} == set(RULES)


def test_units_may_be_elsewhere() -> None:
    board = copy.deepcopy(GOOD)
    panel(board).update(type="table", fieldConfig={"overrides": [{"properties": [{"id": "unit", "value": "s"}]}]})
    assert found_in(board) == {}
    panel(board).update(type="heatmap", options={"yAxis": {"unit": "s"}})
    assert found_in(board) == {}


def test_what_is_in_collapsed_rows_is_looked_at() -> None:
    board = copy.deepcopy(GOOD)
    hidden = {**panel(board), "title": ""}
    board["panels"][0]["panels"] = [hidden]
    assert set(found_in(board)) == {"panel-title-description-rule"}
