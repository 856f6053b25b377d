"""Overrides, columns and sorting name fields that there are: what names none has no effect, and nobody is told."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.dashboards.boards import Board, boards, rules
from tests.dashboards.contract import JudgedRules
from tests.dashboards.fields import columns, labels_of, legends, organized, overridden, raw_columns, targets_of
from tests.dashboards.vocabulary import Vocabulary


def misses(board: Board, panel: Mapping[str, Any], vocabulary: Vocabulary) -> Iterator[str]:
    """Names in a panel that are no field's."""
    is_table = panel["type"] == "table"
    letters = {target.json.get("refId") for target in targets_of(board, panel)}
    for how, name in overridden(panel):
        if how == "byFrameRefID" and name not in letters:
            yield f"an override is for query {name}"
        elif how == "byName" and is_table and name not in columns(board, panel, vocabulary):
            yield f"an override is for column {name}"
        elif how == "byName" and not is_table and not legends(board, panel, vocabulary).fullmatch(name):
            yield f"an override is for series {name}"
        elif how not in ("byFrameRefID", "byName"):
            yield f"an override is {how}, which nothing checks"
    if not is_table:
        return
    raw = raw_columns(board, panel, vocabulary)
    for key in ("renameByName", "indexByName", "excludeByName"):
        for name in organized(panel).get(key) or {}:
            if name not in raw:
                yield f"{key} is for column {name}"
    for sorting in panel["options"].get("sortBy") or []:
        if sorting["displayName"] not in columns(board, panel, vocabulary):
            yield f"sorted by column {sorting['displayName']}"
    if len({labels_of(target, vocabulary) for target in targets_of(board, panel)}) > 1:
        yield "rows of the queries do not merge, as they have other labels"


@pytest.mark.parametrize("uid", [board.uid for board in boards()])
def test_names_are_of_fields(uid: str) -> None:
    vocabulary = JudgedRules(rules()).vocabulary
    board = next(board for board in boards() if board.uid == uid)
    found = [(panel["title"], miss) for panel in board.panels for miss in misses(board, panel, vocabulary)]
    assert found == []


TABLE: dict[str, Any] = {
    "type": "table",
    "title": "Groups",
    "fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "Lag"}, "properties": []}]},
    "options": {"sortBy": [{"displayName": "Lag"}]},
    "targets": [
        {"refId": "A", "expr": "max by (group) (rlb_group_lag)"},
        {"refId": "B", "expr": "max by (group) (rlb_group_pending)"},
    ],
    "transformations": [
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value #A": "Lag"}}}
    ],
}
LINES: dict[str, Any] = {
    "type": "timeseries",
    "title": "Streams",
    "fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "all stalled"}, "properties": []}]},
    "targets": [{"refId": "A", "expr": "max by (status) (rlb_group_streams)", "legendFormat": "all {{status}}"}],
}


def found_in(panel: dict[str, Any]) -> list[str]:
    return list(misses(Board({"uid": "x", "panels": [panel]}), panel, Vocabulary()))


def test_what_is_named_rightly_is_let_through() -> None:
    assert found_in(TABLE) == []
    assert found_in(LINES) == []


def test_what_names_nothing_is_found() -> None:
    table, lines = copy.deepcopy(TABLE), copy.deepcopy(LINES)
    table["fieldConfig"]["overrides"][0]["matcher"]["options"] = "Value #A"  # which has another name by then
    table["options"]["sortBy"][0]["displayName"] = "lag"
    table["transformations"][0]["options"]["renameByName"]["Value #C"] = "Pending"
    table["targets"][1]["expr"] = "max by (model) (rlb_group_pending)"
    assert len(found_in(table)) == 4
    lines["fieldConfig"]["overrides"][0]["matcher"]["options"] = "all stuck"
    lines["fieldConfig"]["overrides"].append({"matcher": {"id": "byFrameRefID", "options": "B"}, "properties": []})
    assert len(found_in(lines)) == 2
