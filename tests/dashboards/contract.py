"""Every expression of the dashboards and rules, judged: what is wrong with each, and the labels of each result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.dashboards.boards import Board, expand, label_values, variable_query
from tests.dashboards.inference import Inference, Vector
from tests.dashboards.promql import parse
from tests.dashboards.vocabulary import Series, Vocabulary


@dataclass(frozen=True)
class Judged:
    """An expression with what was found."""

    where: str
    text: str
    problems: list[str]
    result: Vector
    names: set[str]
    """The metrics that it asks for."""


def judge(where: str, text: str, vocabulary: Vocabulary) -> Judged:
    """One expression without variables."""
    inference = Inference(vocabulary)
    try:
        result = inference.of(parse(text))
    except ValueError as error:
        return Judged(where, text, [f"does not parse: {error}"], Vector(None), set())
    return Judged(where, text, inference.problems, result, inference.names)


@dataclass
class JudgedRules:
    """The rules in their order: what one records is known to those behind it, and to the dashboards."""

    rules: Iterable[Mapping[str, Any]]
    recorded: dict[str, Series] = field(default_factory=dict)
    judged: list[tuple[Mapping[str, Any], Judged]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for rule in self.rules:
            name = rule.get("record") or rule["alert"]
            found = judge(name, rule["expr"], Vocabulary(self.recorded))
            self.judged.append((rule, found))
            if "record" in rule:
                labels = dict.fromkeys(sorted(found.result.labels or ())) | dict.fromkeys(rule.get("labels") or {})
                self.recorded[name] = Series(labels, "gauge", found.result.optional)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.recorded)


def judged_board(board: Board, vocabulary: Vocabulary) -> Iterator[Judged]:
    """What the panels, annotations and variables of a dashboard ask."""
    for target in board.targets:
        yield judge(target.where, target.judged, vocabulary)
    for name, expr in board.annotations:
        yield judge(f"{board.uid} / annotation {name}", expand(expr, board.marks), vocabulary)
    for variable in board.variables:
        asked = label_values(variable_query(variable)) if variable.get("type") == "query" else None
        if asked is None:
            continue
        where = f"{board.uid} / variable {variable['name']}"
        inference = Inference(vocabulary)
        # Any series will do for its labels: counters need no rate here.
        result = inference.of(parse(expand(asked[0], board.marks)), "last_over_time")
        if asked[1] not in (result.labels or ()):
            inference.problems.append(f"asks for the values of {asked[1]}, which {asked[0]} does not have")
        yield Judged(where, asked[0], inference.problems, result, inference.names)
