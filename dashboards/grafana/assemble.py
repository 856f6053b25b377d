"""Puts panels on the grid, and what all dashboards have around them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dashboards.grafana.panels import Panel
from dashboards.grafana.queries import WINDOW, ours, selector, together
from dashboards.grafana.sdk import dashboard, models
from dashboards.grafana.style import BAD, CALM
from dashboards.grafana.targets import SOURCE, Query
from dashboards.grafana.variables import Variable, shared

COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question. The first of a dashboard has no title; `folded` ones wait to be opened."""

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False


def lines(panels: Iterable[Panel]) -> list[list[Panel]]:
    """The panels by lines of the grid.

    Raises:
        ValueError: a line has a hole: it is not full, or its panels are not of one height.
    """
    found: list[list[Panel]] = [[]]
    for panel in panels:
        if sum(_place(each).w for each in found[-1]) >= COLUMNS:
            found.append([])
        found[-1].append(panel)
    for line in found:
        titles = ", ".join(str(panel.title) for panel in line)
        if sum(_place(panel).w for panel in line) != COLUMNS:
            raise ValueError(f"a line is not {COLUMNS} columns wide: {titles}")
        if len({_place(panel).h for panel in line}) > 1:
            raise ValueError(f"the panels of a line differ in height: {titles}")
    return found


def _place(panel: Panel) -> models.GridPos:
    assert panel.grid_pos is not None
    return panel.grid_pos


def _laid(panels: Iterable[Panel], y: int) -> int:
    for line in lines(panels):
        x = 0
        for panel in line:
            place = _place(panel)
            place.x, place.y = x, y
            x += place.w
        y += _place(line[0]).h
    return y


def assemble(
    uid: str,
    title: str,
    description: str,
    rows: tuple[Row, ...],
    extra: tuple[Variable, ...] = (),
    *,
    mark_alerts: bool = False,
) -> models.Dashboard:
    """A dashboard of these rows, with the variables, links and annotations that all have.

    `mark_alerts`: critical alerts are marked on the graphs; elsewhere that is off until it is switched on at the top.
    """
    builder = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["rlb"])
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .timepicker(dashboard.TimePicker().refresh_intervals(["10s", "30s", "1m", "5m", "15m", "1h"]))
        .link(_links())
        .annotation(_restarts())
        .annotation(_alerts(enabled=mark_alerts))
    )
    for variable in (*shared(), *extra):
        builder = builder.with_variable(variable)
    built = builder.build()
    built.panels = _placed(rows)
    return built


def _placed(rows: tuple[Row, ...]) -> list[models.Panel | models.RowPanel]:
    found: list[models.Panel | models.RowPanel] = []
    y = 0
    for row in rows:
        header = models.RowPanel(title=row.title, collapsed=row.folded, grid_pos=models.GridPos(1, COLUMNS, 0, y))
        if row.title:
            found.append(header)
            y += 1
        end = _laid(row.panels, y)
        if row.folded:
            header.panels = list(row.panels)
        else:
            found += row.panels
            y = end
    return found


def _links() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("rlb")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["rlb"])
        .include_vars(True)
        .keep_time(True)
        .as_dropdown(False)
        .target_blank(False)
    )


def _annotation(
    name: str, expression: str, colour: str, title: str, words: str, tags: str, *, enabled: bool = True
) -> dashboard.AnnotationQuery:
    query = Query().expr(expression).range().ref_id("Anno").datasource(SOURCE)
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(enabled)
        .hide(False)
        .icon_color(colour)
        .target(query)
        .expr(expression)
        .step("60s")
        .title_format(title)
        .text_format(words)
        .tag_keys(tags)
        .use_value_for_time(False)
    )


def _restarts() -> dashboard.AnnotationQuery:
    changes = f"changes({selector('process_start_time_seconds')}[{WINDOW}]) > 0"
    return _annotation("Restarts", ours(changes), CALM, "Restart", "{{instance}} has started anew", "job,instance")


def _alerts(*, enabled: bool) -> dashboard.AnnotationQuery:
    """One mark for an alert, of however many groups and models it fires."""
    firing = {"alertname": '=~"RLB.+"', "alertstate": '="firing"', "severity": '="critical"'}
    expression = together("max", selector("ALERTS", firing, wide=True), "alertname")
    return _annotation("Critical alerts", expression, BAD, "{{alertname}}", "fires", "alertname", enabled=enabled)
