"""Queries as panels hold them."""

from __future__ import annotations

from string import ascii_uppercase

from dashboards.grafana.sdk import common_models, prometheus, prometheus_models

SOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The Prometheus that the first variable chooses."""

Query = prometheus.Dataquery


def series(expression: str, legend: str = "", *, exemplars: bool = False) -> Query:
    """A line over time for each series. `exemplars`: with the traces behind a histogram's buckets."""
    query = Query().expr(expression).legend_format(legend or "__auto").range().datasource(SOURCE)
    query = query.editor_mode(prometheus_models.QueryEditorMode.CODE)
    return query.exemplar(True) if exemplars else query


def now(expression: str, legend: str = "") -> Query:
    """The value at the end of the time range: what has gone is gone, and not shown as it last was."""
    return series(expression, legend).instant()


def rows(expression: str) -> Query:
    """A row of a table for each series."""
    return now(expression).format(prometheus_models.PromQueryFormat.TABLE)


def cells(expression: str) -> Query:
    """The buckets of a heatmap."""
    return series(expression, "{{le}}").format(prometheus_models.PromQueryFormat.HEATMAP)


def lettered(queries: tuple[Query, ...]) -> list[Query]:
    """The queries with their letters, `A` first."""
    return [query.ref_id(letter) for query, letter in zip(queries, ascii_uppercase, strict=False)]
