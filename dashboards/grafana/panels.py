"""The house style of panels: each function takes a title, a description, a unit and queries, and gives a panel."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.grafana.sdk import (
    common,
    common_models,
    dashboard,
    heatmap,
    heatmap_models,
    models,
    stat,
    text,
    text_models,
)
from dashboards.grafana.sdk import timeseries as graph
from dashboards.grafana.style import neutral
from dashboards.grafana.targets import SOURCE, Query, lettered

Panel = models.Panel
Thresholds = dashboard.ThresholdsConfig

NO_TRAFFIC = "No traffic"
TILE = 4
HEIGHT = 8
WIDE = 12


def framed(
    panel: Panel, title: str, description: str, no_value: str, w: int, h: int, queries: tuple[Query, ...]
) -> Panel:
    """A panel with what all panels have; where it lies is found out later."""
    panel.title, panel.description, panel.datasource = title, description, SOURCE
    panel.grid_pos = models.GridPos(h=h, w=w)
    panel.targets = [query.build() for query in lettered(queries)]
    if panel.field_config is None:
        panel.field_config = models.FieldConfigSource()
    panel.field_config.defaults.no_value = no_value
    return panel


def link(title: str, url: str) -> dashboard.DashboardLink:
    """A link of a value, to where more is known of it."""
    return dashboard.DashboardLink(title).url(url)


def timeseries(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    w: int = 12,
    h: int = HEIGHT,
    no_value: str = NO_TRAFFIC,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    lowest: float | None = 0,
    highest: float | None = None,
    at_least: float | None = None,
    dashed: str = "",
    names_below: bool = False,
    thresholds: Thresholds | None = None,
    links: tuple[dashboard.DashboardLink, ...] = (),
    logarithmic: bool = False,
) -> Panel:
    """Lines over time. `colours` by the names of series; `thresholds` are drawn as dashed lines.

    `at_least`: up to where the axis goes at least, so that a line of zeros is not drawn on a scale of hundreds.
    `names_below`: the legend is no table beside the graph, whatever room there is.
    `dashed`: letters of queries that the others are compared with.
    """
    many = any("{{" in (query.build().legend_format or "") for query in queries)
    panel = (
        graph.Panel()
        .unit(unit)
        .line_width(1)
        .fill_opacity(60 if stacked else 10 if len(queries) == 1 and not many else 0)
        .show_points(common_models.VisibilityMode.NEVER)
        .gradient_mode(common_models.GraphGradientMode.NONE)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .legend(_legend(at_right=many and w >= WIDE and not names_below))
        .data_links(list(links))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if lowest is not None:
        panel = panel.min(lowest)
    if highest is not None:
        panel = panel.max(highest)
    if logarithmic:
        scale = common.ScaleDistributionConfig().type(common_models.ScaleDistribution.LOG).log(10)
        panel = panel.scale_distribution(scale)
    if thresholds is not None:
        style = common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(thresholds).thresholds_style(style)
    if at_least is not None:
        panel = panel.axis_soft_max(at_least)
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [fixed(colour)])
    for letter in dashed:
        panel = panel.override_by_query(letter, [_DASHED])
    return framed(panel.build(), title, description, no_value, w, h, queries)


_DASHED = models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})


def _legend(*, at_right: bool) -> common.VizLegendOptions:
    """A table where there is room for one, and else only names: below a graph it would take half of the height."""
    options = common.VizLegendOptions().show_legend(True)
    if not at_right:
        mode, place = common_models.LegendDisplayMode.LIST, common_models.LegendPlacement.BOTTOM
        return options.display_mode(mode).placement(place).calcs([])
    mode, place = common_models.LegendDisplayMode.TABLE, common_models.LegendPlacement.RIGHT
    return options.display_mode(mode).placement(place).calcs(["lastNotNull", "max"])


def fixed(colour: str) -> models.DynamicConfigValue:
    """An override that gives one colour."""
    return models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def tile(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    w: int = 4,
    h: int = TILE,
    no_value: str = NO_TRAFFIC,
    thresholds: Thresholds | None = None,
    own: Mapping[str, Thresholds] | None = None,
    decimals: int | None = None,
    links: tuple[dashboard.DashboardLink, ...] = (),
    mappings: tuple[models.ValueMapping, ...] = (),
) -> Panel:
    """One number, or a few. Coloured only where a value is bad in itself: else it is plain text.

    `own`: thresholds of single queries, by their letters.
    """
    panel = (
        stat.Panel()
        .unit(unit)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .justify_mode(common_models.BigValueJustifyMode.AUTO)
        .text_mode(
            common_models.BigValueTextMode.VALUE_AND_NAME if len(queries) > 1 else common_models.BigValueTextMode.VALUE
        )
        .orientation(common_models.VizOrientation.HORIZONTAL if h > TILE else common_models.VizOrientation.AUTO)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds or neutral())
        .data_links(list(links))
        .mappings(list(mappings))
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    for letter, config in (own or {}).items():
        panel = panel.override_by_query(letter, [models.DynamicConfigValue("thresholds", config.build())])
    return framed(panel.build(), title, description, no_value, w, h, queries)


def heat(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    w: int = 12,
    h: int = HEIGHT,
    no_value: str = NO_TRAFFIC,
) -> Panel:
    """How often which value is observed, over time: the buckets of a histogram."""
    panel = (
        heatmap.Panel()
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .fill("dark-blue")
            .reverse(False)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common_models.AxisPlacement.LEFT))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(common_models.HeatmapCellLayout.AUTO))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .cell_values(heatmap.CellValues().unit("short"))
        .tooltip(heatmap.HeatmapTooltip().mode(common_models.TooltipDisplayMode.SINGLE).y_histogram(True))
        .exemplars_color("rgba(255,120,10,0.9)")
        .show_legend()
        .cell_gap(1)
    )
    return framed(panel.build(), title, description, no_value, w, h, (query,))


def note(title: str, content: str, *, w: int = 24, h: int = 3) -> Panel:
    """A text, in Markdown."""
    panel = text.Panel().mode(text_models.TextMode.MARKDOWN).content(content)
    built = framed(panel.build(), title, "", "", w, h, ())
    built.datasource = built.targets = built.field_config = built.description = None
    return built
