"""The rules of Grafana's dashboard-linter, each a function from a dashboard to what it finds, under the linter's names.

Rules about logs are left out: there are none here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import promql_parser as ast

from tests.dashboards.boards import Board, Target, label_values, mark, references, variable_query
from tests.dashboards.inference import RATES
from tests.dashboards.promql import Node, matchers_of, name_of, parse, selectors, walk
from tests.dashboards.units import is_unit

Findings = Iterator[tuple[str, str]]
"""Where something is wrong, and what."""

WITHOUT_QUERIES = frozenset({"text", "row", "dashlist", "alertlist", "annolist", "news"})
SOURCES = ("datasource", "prometheus_datasource")
SOURCE_LABELS = ("Data source", "Prometheus data source")


def template_datasource(board: Board) -> Findings:
    """The first choice is that of the Prometheus to ask."""
    found = [variable for variable in board.variables if variable.get("type") == "datasource"]
    if not found:
        yield board.uid, "there is no variable of type datasource"
    for variable in found:
        if variable.get("query") != "prometheus":
            yield board.uid, "the data source is no Prometheus"
        if variable.get("name") not in SOURCES:
            yield board.uid, f"the data source is called {variable.get('name')}"
        if variable.get("label") not in SOURCE_LABELS:
            yield board.uid, f"the data source is labelled {variable.get('label')}"


def template_job(board: Board) -> Findings:
    """The job can be chosen."""
    yield from _template(board, "job")


def template_instance(board: Board) -> Findings:
    """The instance can be chosen."""
    yield from _template(board, "instance")


def _template(board: Board, name: str) -> Findings:
    variable = board.variable(name)
    if variable is None:
        yield board.uid, f"there is no variable {name}"
        return
    source = (variable.get("datasource") or {}).get("uid")
    for is_good, what in (
        (variable.get("type") == "query", "is of another type than query"),
        (
            source in {f"${{{source}}}" for source in SOURCES} | {f"${source}" for source in SOURCES},
            "has a fixed source",
        ),
        (variable.get("label") == name.title(), f"is labelled {variable.get('label')}"),
        (variable.get("multi") is True, "allows only one value"),
        (variable.get("allValue") == ".+", f"has {variable.get('allValue')} for all"),
    ):
        if not is_good:
            yield board.uid, f"the variable {name} {what}"


def template_label_promql(board: Board) -> Findings:
    """What label_values() selects is an expression."""
    for variable in board.variables:
        if variable.get("type") != "query":
            continue
        query = variable_query(variable)
        asked = label_values(query)
        if asked is None:
            yield board.uid, f"the variable {variable.get('name')} asks {query!r}, which is no label_values()"
        elif asked[0] and _parsed(expanded(board, asked[0])) is None:
            yield board.uid, f"the variable {variable.get('name')} selects by {asked[0]!r}, which does not parse"


def template_on_time_change_reload(board: Board) -> Findings:
    """Choices follow the time range."""
    for variable in board.variables:
        if variable.get("type") == "query" and variable.get("refresh") != 2:
            yield board.uid, f"the variable {variable.get('name')} is not asked again when the time range changes"


def panel_datasource(board: Board) -> Findings:
    """Panels and queries ask the Prometheus that is chosen."""
    good = {form for source in SOURCES for form in (f"${source}", f"${{{source}}}")}
    for panel in board.panels:
        if panel.get("type") in WITHOUT_QUERIES:
            continue
        for asked in (panel, *(panel.get("targets") or [])):
            source = asked.get("datasource")
            uid = source.get("uid") if isinstance(source, dict) else source
            if uid not in good:
                yield _place(board, panel), f"asks the data source {uid!r}"


def panel_title_description(board: Board) -> Findings:
    """Each panel has a title and a description."""
    for panel in board.panels:
        for key in ("title", "description"):
            if panel.get("type") != "text" and not str(panel.get(key) or "").strip():
                yield _place(board, panel), f"has no {key}"


def panel_units(board: Board) -> Findings:
    """Each panel with numbers has a unit that Grafana knows, or texts for its values.

    A heatmap has it at its axis, and a table may have one for each column that is a number.
    """
    for panel in board.panels:
        if panel.get("type") in WITHOUT_QUERIES:
            continue
        config = panel.get("fieldConfig") or {}
        defaults = config.get("defaults") or {}
        of_columns = [
            item.get("value")
            for override in config.get("overrides") or []
            for item in override.get("properties") or []
            if item.get("id") == "unit"
        ]
        unit = defaults.get("unit")
        if panel.get("type") == "heatmap":
            unit = ((panel.get("options") or {}).get("yAxis") or {}).get("unit")
        is_left_to_columns = panel.get("type") == "table" and of_columns
        if unit or not (defaults.get("mappings") or is_left_to_columns):
            of_columns.append(unit)
        for each in of_columns:
            if not is_unit(each):
                yield _place(board, panel), f"has the unit {each!r}"


def panel_no_targets(board: Board) -> Findings:
    """Each panel with data asks for it."""
    for panel in board.panels:
        if panel.get("type") not in WITHOUT_QUERIES and not panel.get("targets"):
            yield _place(board, panel), "has no query"


def target_promql(board: Board) -> Findings:
    """Each query parses once its variables have values."""
    for target in board.targets:
        try:
            parse(target.judged)
        except ValueError as error:
            yield target.where, f"does not parse: {error}"
        for name in sorted(references(target.expr) - board.marks.keys()):
            yield target.where, f"names the variable {name}, which does not exist"


def target_rate_interval(board: Board) -> Findings:
    """Rates are taken over the interval that suits the time range, $__rate_interval."""
    for target in board.targets:
        # A duration that nobody writes takes the variable's place, and shows where it was.
        found = _parsed(target.expr.replace("$__rate_interval", "77777s"), target)
        for node, around in walk(found) if found is not None else ():
            how = _function(around[-1]) if around and isinstance(node, ast.MatrixSelector) else ""
            if how in ("rate", "irate") and node.range.total_seconds() != 77777:
                yield target.where, f"{how} over a fixed window"


def target_job(board: Board) -> Findings:
    """Each selector keeps to the chosen job."""
    yield from _target(board, "job")


def target_instance(board: Board) -> Findings:
    """Each selector keeps to the chosen instance."""
    yield from _target(board, "instance")


def _target(board: Board, label: str) -> Findings:
    for target in board.targets:
        for selector, _ in _selectors(target):
            chosen = [(str(m.op), m.value) for m in matchers_of(selector) if m.name == label]
            if chosen != [(str(ast.MatchOp.Re), mark(label))]:
                yield target.where, f'{name_of(selector)} is not kept to {label}=~"${label}"'


def target_counter_agg(board: Board) -> Findings:
    """Counters are looked at by how they rise."""
    for target in board.targets:
        for selector, around in _selectors(target):
            functions = {_function(node) for node in around}
            if name_of(selector).endswith("_total") and not functions & RATES:
                yield target.where, f"{name_of(selector)} is used without rate, irate or increase"


def uneditable_dashboard(board: Board) -> Findings:
    """What is provisioned cannot be changed by hand, and says so."""
    if board.json.get("editable") is not False:
        yield board.uid, "can be edited"


RULES: Mapping[str, Callable[[Board], Findings]] = {
    f"{rule.__name__.replace('_', '-')}-rule": rule
    for rule in (
        template_datasource,
        template_job,
        template_instance,
        template_label_promql,
        template_on_time_change_reload,
        panel_datasource,
        panel_title_description,
        panel_units,
        panel_no_targets,
        target_promql,
        target_rate_interval,
        target_job,
        target_instance,
        target_counter_agg,
        uneditable_dashboard,
    )
}


def expanded(board: Board, text: str) -> str:
    """A text with a value for each variable of the dashboard."""
    return Target(board, {}, {"expr": text}).judged


def _place(board: Board, panel: Mapping[str, Any]) -> str:
    return f"{board.uid} / {panel.get('title')}"


def _parsed(text: str, target: Target | None = None) -> Node | None:
    """The expression; None where `target-promql` has something to say already."""
    try:
        return parse(expanded(target.board, text) if target else text)
    except ValueError:
        return None


def _selectors(target: Target) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    found = _parsed(target.judged)
    return selectors(found) if found is not None else iter(())


def _function(node: Node) -> str:
    return str(node.func.name) if isinstance(node, ast.Call) else ""
