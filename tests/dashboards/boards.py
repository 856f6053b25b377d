"""The committed dashboards and rules as tests look at them: panels, queries, variables, in the order of the files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

GENERATED = Path(__file__).parent.parent.parent / "dashboards" / "generated"

BUILT_IN: Mapping[str, str] = {
    "__rate_interval": "5m",
    "__interval": "1m",
    "__interval_ms": "60000",
    "__range": "1h",
    "__range_s": "3600",
    "__range_ms": "3600000",
    "__from": "1700000000000",
    "__to": "1700003600000",
    "__dashboard": "dashboard",
}
"""What Grafana puts in by itself, with values that parse."""

_REFERENCE = re.compile(r"\$\{(\w+)(?::[^}]*)?\}|\[\[(\w+)(?::\w+)?\]\]|\$([A-Za-z_]\w*)")


def references(text: str) -> set[str]:
    """The variables that a text names, in any of Grafana's three ways to write them."""
    return {next(filter(None, found.groups())) for found in _REFERENCE.finditer(text)}


def expand(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of its variables; those without one stay, as Grafana leaves them."""
    return _REFERENCE.sub(lambda found: values.get(next(filter(None, found.groups())), found[0]), text)


def mark(variable: str) -> str:
    """What stands for a chosen value while an expression is judged; nobody writes that by hand."""
    return f"chosen:{variable}"


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    board: Board
    panel: Mapping[str, Any]
    json: Mapping[str, Any]

    @property
    def expr(self) -> str:
        return str(self.json.get("expr", ""))

    @property
    def where(self) -> str:
        return f"{self.board.uid} / {self.panel.get('title')} / {self.json.get('refId')}"

    @property
    def judged(self) -> str:
        """The expression as the rules see it: it parses, and shows where each variable was."""
        return expand(self.expr, self.board.marks)


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    json: Mapping[str, Any]

    @property
    def uid(self) -> str:
        return str(self.json.get("uid"))

    @cached_property
    def everything(self) -> tuple[Mapping[str, Any], ...]:
        """Rows and panels, those within collapsed rows too."""
        return tuple(_flat(self.json.get("panels") or []))

    @property
    def panels(self) -> Iterator[Mapping[str, Any]]:
        return (panel for panel in self.everything if panel.get("type") != "row")

    @property
    def targets(self) -> Iterator[Target]:
        return (Target(self, panel, target) for panel in self.panels for target in panel.get("targets") or [])

    @property
    def variables(self) -> list[Mapping[str, Any]]:
        return list((self.json.get("templating") or {}).get("list") or [])

    def variable(self, name: str) -> Mapping[str, Any] | None:
        return next((variable for variable in self.variables if variable.get("name") == name), None)

    @property
    def annotations(self) -> Iterator[tuple[str, str]]:
        """Name and expression of each annotation that asks Prometheus."""
        for annotation in (self.json.get("annotations") or {}).get("list") or []:
            expr = annotation.get("expr") or (annotation.get("target") or {}).get("expr")
            if expr:
                yield str(annotation.get("name")), str(expr)

    @cached_property
    def marks(self) -> Mapping[str, str]:
        """A value for each variable: its own if the file has one to offer, else a mark."""
        found = dict(BUILT_IN)
        for variable in self.variables:
            name, kind = str(variable.get("name")), variable.get("type")
            current = (variable.get("current") or {}).get("value")
            is_fixed = kind in ("constant", "custom", "interval", "textbox") and isinstance(current, str)
            found[name] = current if is_fixed and "$" not in current else mark(name)
        return found


def _flat(panels: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for panel in panels:
        yield panel
        yield from _flat(panel.get("panels") or [])


def variable_query(variable: Mapping[str, Any]) -> str:
    """The text of a query variable, which is either a string or an object that holds one."""
    query = variable.get("query")
    return str(query.get("query", "")) if isinstance(query, dict) else str(query or "")


def label_values(query: str) -> tuple[str, str] | None:
    """Selector and label of `label_values(selector, label)`; the selector is empty if the query has none."""
    found = re.fullmatch(r"\s*label_values\(\s*(?:(.*\S)\s*,)?\s*(\w+)\s*\)\s*", query, re.DOTALL)
    return (found[1] or "", found[2]) if found else None


@cache
def boards() -> tuple[Board, ...]:
    """The committed dashboards."""
    return tuple(Board(json.loads(path.read_text())) for path in sorted(GENERATED.glob("*.json")))


@cache
def rules() -> tuple[Mapping[str, Any], ...]:
    """The committed rules of all groups and files, those that record something first."""
    files = sorted((GENERATED / "rules").glob("*.yaml"))
    groups = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    return tuple(sorted((rule for group in groups for rule in group["rules"]), key=lambda rule: "record" not in rule))
