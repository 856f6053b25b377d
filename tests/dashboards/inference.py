"""Which labels the series of an expression's result have, and what cannot be right on the way there.

It finds names and labels that nothing has, values that no series can have, pairs of vectors that never match or match
several times, rates of gauges, and sums that count twice what several instances poll.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import promql_parser as ast

from tests.dashboards.promql import Node, matchers_of, name_of, operator
from tests.dashboards.vocabulary import INFO, TARGET, Series, Vocabulary

RATES = frozenset({"rate", "irate", "increase"})
OF_GAUGES = frozenset({"delta", "idelta", "deriv", "predict_linear", "avg_over_time", "min_over_time", "max_over_time"})
OF_EITHER = frozenset(
    {"resets", "changes", "last_over_time", "present_over_time", "absent", "absent_over_time", "timestamp"}
)
SET_OPERATORS = frozenset({"and", "or", "unless"})
KEEPING = frozenset({"topk", "bottomk"})
SAFE_ON_POLLED = frozenset({"max", "min", "group", *KEEPING})
DEPENDENT = frozenset({"namespace", "pod", "container"})
"""One of each for a job and instance."""


@dataclass(frozen=True)
class Vector:
    """What an expression results in; `labels` is None for a plain number."""

    labels: frozenset[str] | None
    optional: frozenset[str] = frozenset()
    by_instance: bool = False
    """Polled, and still one series for each instance that polls."""
    merged: bool = False
    """Polled, and the instances became one without a regard to their namespace."""
    is_info: bool = False

    @property
    def sure(self) -> frozenset[str]:
        return (self.labels or frozenset()) - self.optional


SCALAR = Vector(None)


@dataclass
class Inference:
    """Judges one expression after the other, and keeps what it found."""

    vocabulary: Vocabulary
    problems: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """Those that were asked for."""

    def of(self, node: Node, within: str = "") -> Vector:
        """The result of an expression; `within` is the function around it."""
        if isinstance(node, ast.VectorSelector):
            return self._selector(node, within)
        if isinstance(node, ast.MatrixSelector):
            return self._selector(node.vector_selector, within)
        if isinstance(node, ast.ParenExpr | ast.UnaryExpr | ast.SubqueryExpr):
            return self.of(node.expr, within)
        if isinstance(node, ast.AggregateExpr):
            return self._aggregation(node)
        if isinstance(node, ast.BinaryExpr):
            return self._binary(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        return SCALAR

    def _problem(self, text: str) -> None:
        self.problems.append(text)

    def _selector(self, node: Node, within: str) -> Vector:
        name = name_of(node)
        if not name:
            self._problem(f"{node} names no metric")
            return Vector(frozenset())
        try:
            series = self.vocabulary[name]
        except LookupError:
            self._problem(f"there is no metric {name}")
            return Vector(frozenset())
        self.names.add(name)
        if series.kind == "counter" and within not in RATES | OF_EITHER:
            self._problem(f"{name} is a counter, and is used without rate, irate or increase")
        if series.kind != "counter" and within in RATES:
            self._problem(f"{name} is no counter, and has no {within}")
        if series.kind == "counter" and within in OF_GAUGES:
            self._problem(f"{name} is a counter, and has no {within}")
        for matcher in matchers_of(node):
            self._matcher(name, series, matcher)
        labels = frozenset(series.labels)
        return Vector(labels, series.optional, series.polled, is_info=name.endswith(INFO))

    def _matcher(self, name: str, series: Series, matcher: Node) -> None:
        if matcher.name == "__name__":
            return
        if matcher.name not in series.labels:
            self._problem(f"{name} has no label {matcher.name}")
            return
        allowed = series.labels[matcher.name]
        if allowed is None or matcher.value.startswith("chosen:"):
            return
        pattern = matcher.op in (ast.MatchOp.Re, ast.MatchOp.NotRe)
        for part in alternatives(matcher.value) if pattern else [matcher.value]:
            fits: Callable[[str], object] = re.compile(part).fullmatch if pattern else part.__eq__
            if part and not any(fits(value) for value in allowed):
                self._problem(f"{name} never has {matcher.name}={part!r}, only {', '.join(allowed)}")

    def _aggregation(self, node: Node) -> Vector:
        how, inner = operator(node), self.of(node.expr)
        have = inner.labels or frozenset()
        listed = frozenset(node.modifier.labels) if node.modifier else frozenset()
        for label in sorted(listed - have):
            self._problem(f"{how} names the label {label}, which its series do not have")
        without = node.modifier is not None and node.modifier.type == ast.AggModifierType.Without
        kept = have - listed if without else listed & have
        if how in KEEPING:
            return inner
        if inner.by_instance and how not in SAFE_ON_POLLED:
            self._problem(f"{how} adds up what several instances poll: take the max by (namespace, …) first")
        if inner.merged and how not in SAFE_ON_POLLED:
            self._problem(f"{how} of a max over all namespaces: each may have a Redis of its own")
        if how == "count_values":
            kept |= {node.param.val}
        merged = inner.by_instance and "namespace" not in kept
        return Vector(kept, inner.optional & kept, inner.by_instance and "instance" in kept, inner.merged or merged)

    def _call(self, node: Node) -> Vector:
        name = node.func.name
        arguments = [self.of(argument, name) for argument in node.args]
        vectors = [argument for argument in arguments if argument.labels is not None]
        if name == "vector":
            return Vector(frozenset())
        if name in ("absent", "absent_over_time"):
            selector = node.args[0].vector_selector if isinstance(node.args[0], ast.MatrixSelector) else node.args[0]
            equal = (
                [m.name for m in matchers_of(selector) if m.op == ast.MatchOp.Equal]
                if isinstance(selector, ast.VectorSelector)
                else []
            )
            return Vector(frozenset(equal) - {"__name__"})
        if name == "scalar" or not vectors:
            return SCALAR
        result = vectors[0]
        have = result.labels or frozenset()
        if name.startswith("histogram_"):
            if "le" not in have:
                self._problem(f"{name} needs the label le")
            return replace(result, labels=have - {"le"})
        if name in ("label_replace", "label_join"):
            to, *sources = (
                node.args[at].val for at in ((1, 3) if name == "label_replace" else (1, *range(3, len(node.args))))
            )
            for label in sources:
                if label and label not in have:
                    self._problem(f"{name} reads the label {label}, which its series do not have")
            return replace(result, labels=have | {to})
        return result

    def _binary(self, node: Node) -> Vector:
        left, right, how = self.of(node.lhs), self.of(node.rhs), operator(node)
        if left.labels is None or right.labels is None:
            return left if right.labels is None else right
        matching = node.modifier.matching if node.modifier else None
        listed = frozenset(matching.labels) if matching else frozenset()
        on = matching is not None and matching.type == ast.LabelModifierType.Include
        for side, vector in (("left", left), ("right", right)):
            for label in sorted(listed - (vector.labels or frozenset())):
                if on:
                    self._problem(f"{how} on ({label}): the {side} side does not have it")
        if how != "or" and not on:
            for label in sorted((left.sure ^ right.sure) - listed - left.optional - right.optional):
                self._problem(f"{how} matches nothing: only one side has the label {label}")
        if how == "or":
            both = left.sure & right.sure
            every = (left.labels or frozenset()) | (right.labels or frozenset())
            return replace(self._both(left, right), labels=every, optional=every - both)
        if how in SET_OPERATORS:
            return left
        return self._matched(how, left, right, node.modifier, listed, on=on)

    def _matched(
        self, how: str, left: Vector, right: Vector, modifier: Node, listed: frozenset[str], *, on: bool
    ) -> Vector:
        card = modifier.card if modifier else ast.VectorMatchCardinality.OneToOne
        many = {
            "left": card == ast.VectorMatchCardinality.ManyToOne,
            "right": card == ast.VectorMatchCardinality.OneToMany,
        }
        for side, vector in (("left", left), ("right", right)):
            implied = DEPENDENT if {"job", "instance"} <= listed else frozenset()
            more = vector.sure - listed - implied if on else vector.labels and listed & vector.sure
            if more and not many[side] and not vector.is_info:
                self._problem(f"{how}: several series of the {side} side may match, by {', '.join(sorted(more))}")
        both = self._both(left, right)
        extra = frozenset(modifier.group_labels or ()) if modifier else frozenset()
        if any(many.values()):
            main, other = (left, right) if many["left"] else (right, left)
            for label in sorted(extra - (other.labels or frozenset())):
                self._problem(f"group_{'left' if main is left else 'right'} takes {label}, which is not there")
            return replace(both, labels=(main.labels or frozenset()) | extra, optional=main.optional)
        labels = listed if on else (left.labels or frozenset()) - listed
        return replace(both, labels=labels, optional=left.optional & labels)

    @staticmethod
    def _both(left: Vector, right: Vector) -> Vector:
        """The left one, polled if either is."""
        return replace(
            left, by_instance=left.by_instance or right.by_instance, merged=left.merged or right.merged, is_info=False
        )


def alternatives(pattern: str) -> list[str]:
    """The patterns between the bars at the top of one, brackets around all of it taken off."""
    while pattern.startswith("(") and _closing(pattern) == len(pattern) - 1:
        pattern = pattern[1:-1].removeprefix("?:")
    found, depth = [""], 0
    for letter in pattern:
        depth += (letter == "(") - (letter == ")")
        if letter == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return found


def _closing(pattern: str) -> int:
    """Where the bracket at the beginning is closed."""
    depth = 0
    for at, letter in enumerate(pattern):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return at
    return -1


__all__ = ["SCALAR", "TARGET", "Inference", "Vector", "alternatives"]
