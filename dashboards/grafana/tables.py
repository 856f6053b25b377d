"""Tables: a row for each group, model or instance, a query for each column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from dashboards.grafana.panels import HEIGHT, Panel, Thresholds, framed
from dashboards.grafana.sdk import dashboard, models
from dashboards.grafana.sdk import table as tables
from dashboards.grafana.style import GOOD, NEUTRAL
from dashboards.grafana.targets import rows


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what its query tells of each row, and how that is written."""

    title: str
    unit: str
    expression: str
    thresholds: Thresholds | None = None
    decimals: int | None = None
    width: int | None = None
    words: Mapping[int, tuple[str, str]] | None = None
    """What stands for some values, and its colour."""


@dataclass(frozen=True, slots=True)
class Key:
    """A label that says what a row is of, its title, and the link that its values have."""

    label: str
    title: str
    url: str = ""
    hint: str = ""
    width: int | None = None
    colours: Mapping[str, str] | None = None
    """Colours of some values."""


def table(
    title: str,
    description: str,
    keys: tuple[Key, ...],
    *columns: Column,
    w: int = 24,
    h: int = HEIGHT,
    no_value: str,
    sort: str = "",
    ascending: bool = False,
) -> Panel:
    """A table of the values now; `sort` is the title of the column that orders it, the greatest first."""
    values = [f"Value #{letter}" for letter in ascii_uppercase[: len(columns)]] if len(columns) > 1 else ["Value"]
    titles = {key.label: key.title for key in keys} | {
        value: column.title for value, column in zip(values, columns, strict=True)
    }
    builder = (
        tables.Panel().filterable(False).color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    )
    transformations = [
        models.DataTransformerConfig("merge", options={}),
        models.DataTransformerConfig(
            "organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: i for i, name in enumerate(titles)},
                "renameByName": titles,
            },
        ),
    ]
    builder = builder.transformations(transformations[1:] if len(columns) == 1 else transformations)
    for key in keys:
        builder = builder.override_by_name(key.title, _key_style(key))
    for column in columns:
        builder = builder.override_by_name(column.title, _style(column))
    panel = framed(
        builder.build(), title, description, no_value, w, h, tuple(rows(each.expression) for each in columns)
    )
    options: Any = panel.options
    options.show_header = True
    if sort:
        options.sort_by = [{"displayName": sort, "desc": not ascending}]
    return panel


def _key_style(key: Key) -> list[models.DynamicConfigValue]:
    style = [models.DynamicConfigValue("noValue", "-")]
    if key.width is not None:
        style.append(_width(key.width))
    if key.colours:
        named = {value: {"text": value, "color": colour} for value, colour in key.colours.items()}
        style += [models.DynamicConfigValue("mappings", [{"type": "value", "options": named}]), _COLOURED]
    if key.url:
        style.append(models.DynamicConfigValue("links", [{"title": key.hint, "url": key.url}]))
    return style


def _style(column: Column) -> list[models.DynamicConfigValue]:
    named = {str(value): {"text": text, "color": colour} for value, (text, colour) in (column.words or {}).items()}
    mappings = [_BLANK, {"type": "value", "options": named}] if named else [_BLANK]
    style = [models.DynamicConfigValue("unit", column.unit), models.DynamicConfigValue("mappings", mappings)]
    if column.decimals is not None:
        style.append(models.DynamicConfigValue("decimals", column.decimals))
    if column.width is not None:
        style.append(_width(column.width))
    if column.thresholds is not None:
        style.append(models.DynamicConfigValue("thresholds", _calm(column.thresholds)))
    if column.thresholds is not None or named:
        style.append(_COLOURED)
    return style


_COLOURED = models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"})


def _calm(thresholds: Thresholds) -> models.ThresholdsConfig:
    """The same without a colour for what is good: in a table of numbers only the bad ones should stand out."""
    built = thresholds.build()
    for step in built.steps:
        step.color = NEUTRAL if step.color == GOOD else step.color
    return built


_BLANK = {"type": "special", "options": {"match": "null+nan", "result": {"text": "-", "color": NEUTRAL}}}
"""Where a row has no such value: neither a colour nor the words that stand for a table without rows."""


def _width(pixels: int) -> models.DynamicConfigValue:
    return models.DynamicConfigValue("custom.width", pixels)
