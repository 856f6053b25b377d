"""Every expression of every dashboard and rule, asked of a real Prometheus: where all is well, and where nothing is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.dashboards.boards import Board, boards, expand, rules
from tests.dashboards.contract import JudgedRules, judge
from tests.dashboards.live import Answer, World, each_by_name, everything, ill, well
from tests.dashboards.vocabulary import Vocabulary
from tests.support.prometheus import MISSING, PROMETHEUS

pytestmark = [pytest.mark.skipif(PROMETHEUS is None, reason=MISSING), pytest.mark.timeout(240)]

PATIENCE_S = 75.0
"""For all data to be there; it takes about twenty seconds."""

NOTHING_FAILS = "nothing fails where all is well"
EMPTY_WHERE_ALL_IS_WELL: Mapping[str, str] = {
    "rlb-groups / Dead readers removed": "no reader is dead",
    "rlb-groups / Time to catch up, up to 1 h": "only one that reads faster than is written",
    "rlb-overview / Failed writes, retries and polls": NOTHING_FAILS,
    "rlb-sidecar / Messages sent again": NOTHING_FAILS,
    "rlb-overview / Firing alerts": "no alert has to fire",
    "annotation Restarts": "nothing restarts",
    "annotation Critical alerts": "no alert has to fire",
}
"""What may be without data, and why: how the place begins, or ends. It has data where nothing is well."""

_SILENT = """
RLBWriteErrorBudgetBurn RLBMessagesLost RLBRetentionAtRisk RLBGroupHasNoConsumers RLBPoisonMessages RLBLagUnknown
RLBStreamNearCapacity RLBQueueSaturated RLBIngestRejecting RLBSequenceAnomalies RLBRedisDown RLBObserverHasNoLeader
RLBProbeFailing RLBTargetsMissing RLBCardinalityOverflow RLBTelemetryExportFailing
"""
SILENT = frozenset(_SILENT.split())
"""Alerts that a busy machine or the demo's slow group cannot set off."""


@dataclass(frozen=True)
class Question:
    """One expression with its variables."""

    where: str
    expr: str
    instant: bool
    board: Board | None = field(default=None, compare=False)

    def put(self, values: Callable[[Board], Mapping[str, str]]) -> str:
        return expand(self.expr, values(self.board)) if self.board else self.expr

    @property
    def may_be_empty(self) -> bool:
        places = (self.where.startswith(f"{at} /") or self.where.endswith(f"/ {at}") for at in EMPTY_WHERE_ALL_IS_WELL)
        return self.is_alert or any(places)

    @property
    def is_alert(self) -> bool:
        """Alerts may be without data anywhere: each fires in a scene of its own, see tests/alerts."""
        return self.where.startswith("rule RLB")


def questions() -> Iterator[Question]:
    """All that there are, in a steady order."""
    for board in boards():
        for target in board.targets:
            yield Question(target.where, target.expr, bool(target.json.get("instant")), board)
        for name, expr in board.annotations:
            yield Question(f"{board.uid} / annotation {name}", expr, False, board)
    for rule in rules():
        yield Question(f"rule {rule.get('record') or rule['alert']}", rule["expr"], True)


@dataclass
class Asked:
    """The questions put to a world until each has an answer with data, or it is late."""

    world: World
    values: Callable[[Board], Mapping[str, str]]
    answers: dict[Question, Answer] = field(default_factory=dict)

    def ask(self, again: list[Question]) -> list[Question]:
        """Ask these, and give those that are without data."""
        for question in again:
            self.answers[question] = self.world.ask(question.put(self.values), instant=question.instant)
        return [question for question in again if not self.answers[question].series]


def ask_all(every: list[Question], asked: list[Asked], *, is_empty_good: Callable[[Asked, Question], bool]) -> None:
    """Ask until only those are without data that may be."""
    until_s = time.monotonic() + PATIENCE_S
    open_ones = [every for _ in asked]
    while any(open_ones) and time.monotonic() < until_s:
        open_ones = [
            [question for question in one.ask(again) if not is_empty_good(one, question)]
            for one, again in zip(asked, open_ones, strict=True)
        ]
        time.sleep(1)


def problems(question: Question, answer: Answer, vocabulary: Vocabulary, *, may_be_empty: bool) -> Iterator[str]:
    """What is wrong with an answer."""
    if answer.error:
        yield f"{answer.error}: {answer.expr}"
    elif not answer.series and not may_be_empty:
        yield f"no data: {answer.expr}"
    if not answer.is_finite:
        yield f"not finite: {answer.expr}"
    text = expand(question.expr, question.board.marks) if question.board else question.expr
    thought = judge(question.where, text, vocabulary).result.labels or frozenset()
    for labels in answer.labels:
        if not labels <= thought:
            yield f"has labels that the contract does not know of: {', '.join(sorted(labels - thought))}"


def choosing(world: World) -> Callable[[Board], Mapping[str, str]]:
    """Every value of every variable chosen by itself, as far as there are any."""
    chosen = {board.uid: each_by_name(board, world.choose(board)) for board in boards()}
    return lambda board: chosen[board.uid]


def test_every_expression_has_data(tmp_path: Path, short_tmp: Path) -> None:
    """And the same whether All is chosen or each by its name; what may be empty has data where it should."""
    every = list(questions())
    with well(tmp_path, short_tmp) as good, ill(tmp_path) as bad:
        asked = [Asked(good, everything), Asked(bad, everything)]
        ask_all(
            every,
            asked,
            is_empty_good=lambda one, question: question.may_be_empty if one.world is good else question.is_alert,
        )
        by_name = Asked(good, choosing(good))
        ask_all(
            [question for question in every if question.board],
            [by_name],
            is_empty_good=lambda _, question: question.may_be_empty or not asked[0].answers[question].series,
        )
        wrong_rules = [rule for world in (good, bad) for rule in world.prometheus.rules() if rule["health"] == "err"]
        unreached = [target["lastError"] for target in good.prometheus.targets() if target["health"] != "up"]
        offered = {board.uid: good.choose(board) for board in boards()}
    vocabulary = JudgedRules(rules()).vocabulary
    found = []
    for name, one in zip(("well", "ill", "by name"), (*asked, by_name), strict=True):
        for question, answer in one.answers.items():
            may_be_empty = question.is_alert if one.world is bad else question.may_be_empty
            told = problems(question, answer, vocabulary, may_be_empty=may_be_empty)
            found += [f"{name}: {question.where}: {problem}" for problem in told]
    assert not found, "\n".join([*unreached, *found])[:8000]
    assert wrong_rules == []
    for uid, choices in offered.items():
        assert all(choices.values()), (uid, choices)
    noisy = {question.where for question, answer in asked[0].answers.items() if answer.series}
    assert not noisy & {f"rule {name}" for name in SILENT}


def test_what_may_be_empty_exists() -> None:
    every = [question.where for question in questions()]
    for at in EMPTY_WHERE_ALL_IS_WELL:
        assert any(where.startswith(f"{at} /") or where.endswith(f"/ {at}") for where in every), at
    assert {f"rule {name}" for name in SILENT} <= set(every)


WRONG_ANSWERS: Mapping[str, Answer] = {
    "no data": Answer("up"),
    "not finite": Answer("up", (({"job": "rlb"}, (1.0, math.nan)),)),
    "is not finite": Answer("up", (({"job": "rlb"}, (math.inf,)),)),
    "many-to-many": Answer("up", error="many-to-many matching not allowed"),
    "does not know of: colour": Answer("up", (({"job": "rlb", "colour": "red"}, (1.0,)),)),
}


def test_wrong_answers_are_told() -> None:
    question = Question("here", "up", instant=True)
    good = Answer("up", (({"__name__": "up", "job": "rlb"}, (1.0,)),))
    assert list(problems(question, good, Vocabulary(), may_be_empty=False)) == []
    assert list(problems(question, Answer("up"), Vocabulary(), may_be_empty=True)) == []
    for text, answer in WRONG_ANSWERS.items():
        (told,) = problems(question, answer, Vocabulary(), may_be_empty=False)
        assert text.removeprefix("is ") in told
