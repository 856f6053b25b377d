"""What the fields of a panel can be called: by its legends, or as the columns of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.dashboards.boards import Board, Target
from tests.dashboards.contract import judge
from tests.dashboards.promql import name_of, parse, selectors
from tests.dashboards.vocabulary import Vocabulary

_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def targets_of(board: Board, panel: Mapping[str, Any]) -> list[Target]:
    return [Target(board, panel, target) for target in panel.get("targets") or []]


def labels_of(target: Target, vocabulary: Vocabulary) -> frozenset[str]:
    """The labels that the answer has."""
    return judge(target.where, target.judged, vocabulary).result.labels or frozenset()


def legends(board: Board, panel: Mapping[str, Any], vocabulary: Vocabulary) -> re.Pattern[str]:
    """A pattern of all names that the legends can give: labels with a list of values have one of them."""
    return re.compile("|".join(_legend(target, vocabulary) for target in targets_of(board, panel)) or r"(?!)")


def _legend(target: Target, vocabulary: Vocabulary) -> str:
    values: dict[str, str] = {}
    for selector, _ in selectors(parse(target.judged)):
        for label, listed in vocabulary[name_of(selector)].labels.items():
            values[label] = "|".join(map(re.escape, listed)) if listed else ".+"
    parts = _LABEL.split(str(target.json.get("legendFormat") or ""))
    # Every second part is a label: in between is what is always the same.
    return "".join(f"(?:{values.get(part, '.+')})" if at % 2 else re.escape(part) for at, part in enumerate(parts))


def raw_columns(board: Board, panel: Mapping[str, Any], vocabulary: Vocabulary) -> set[str]:
    """The columns of a table before they are renamed: of several queries, each has a value of its own."""
    targets = targets_of(board, panel)
    labels = {label for target in targets for label in labels_of(target, vocabulary)}
    values = {f"Value #{target.json['refId']}" for target in targets} if len(targets) > 1 else {"Value"}
    return {"Time", *values, *labels}


def organized(panel: Mapping[str, Any]) -> Mapping[str, Any]:
    """How a table puts its columns in order and names them."""
    found = [step["options"] for step in panel.get("transformations") or [] if step["id"] == "organize"]
    return found[-1] if found else {}


def columns(board: Board, panel: Mapping[str, Any], vocabulary: Vocabulary) -> set[str]:
    """The columns as they are shown."""
    renamed, hidden = organized(panel).get("renameByName") or {}, organized(panel).get("excludeByName") or {}
    raw = raw_columns(board, panel, vocabulary)
    return {renamed.get(column, column) for column in raw if not hidden.get(column)}


def overridden(panel: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What overrides are for: how they name it, and the name."""
    for override in (panel.get("fieldConfig") or {}).get("overrides") or []:
        yield override["matcher"]["id"], str(override["matcher"].get("options"))
