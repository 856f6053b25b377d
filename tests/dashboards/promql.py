"""What tests ask of a parsed PromQL expression: its parts, with all that is around each of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import promql_parser as ast

Node = Any
"""An expression as the parser gives it; its classes have no base in common."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The expression.

    Raises:
        ValueError: it is none.
    """
    return ast.parse(text)


def children(node: Node) -> list[Node]:
    """The expressions directly within one."""
    if isinstance(node, ast.AggregateExpr):
        return [node.expr, *([node.param] if node.param is not None else [])]
    if isinstance(node, ast.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, ast.Call):
        return list(node.args)
    if isinstance(node, ast.MatrixSelector):
        return [node.vector_selector]
    if isinstance(node, ast.ParenExpr | ast.SubqueryExpr | ast.UnaryExpr):
        return [node.expr]
    return []


def walk(node: Node, around: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Each part with what is around it, the outermost first."""
    yield node, around
    for child in children(node):
        yield from walk(child, (*around, node))


def selectors(node: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Each selector of series with what is around it."""
    return ((part, around) for part, around in walk(node) if isinstance(part, ast.VectorSelector))


def name_of(selector: Node) -> str:
    """The metric that a selector names; empty if it names none, or several by a pattern."""
    if selector.name:
        return str(selector.name)
    found = [m.value for m in matchers_of(selector) if m.name == "__name__" and m.op == ast.MatchOp.Equal]
    return str(found[0]) if found else ""


def matchers_of(selector: Node) -> list[Any]:
    """The matchers, apart from the name in front of the braces."""
    return [*selector.matchers.matchers, *(each for some in selector.matchers.or_matchers for each in some)]


def operator(node: Node) -> str:
    """`sum`, `/`, `and` ... of an aggregation or a binary expression."""
    return str(node.op)
