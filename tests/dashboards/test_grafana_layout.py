"""The house style's own rules: no holes in the grid, numbers from 1, the same text each time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboards.grafana import dashboards
from dashboards.grafana.assemble import Row, assemble, lines
from dashboards.grafana.finish import finished, metrics_in, text
from dashboards.grafana.limits import in_words, limit
from dashboards.grafana.links import CELL, drill_down
from dashboards.grafana.panels import Panel, tile, timeseries
from dashboards.grafana.queries import level, quantile
from dashboards.grafana.style import about, bad_above, bad_below
from dashboards.grafana.tables import Column, Key, table
from dashboards.grafana.targets import now, series

ABOUT = about("It shows this.", bad="much.", then="that.")


def number(w: int = 4, h: int = 4) -> Panel:
    return tile("Up", ABOUT, "short", now(level("rlb.redis.up")), w=w, h=h)


def made(*panels: Panel, folded: bool = False) -> dict[str, Any]:
    return finished(assemble("rlb-x", "X", "", (Row("First?", panels, folded=folded), Row("Then?", (number(24),)))))


def test_lines_are_filled_from_the_left() -> None:
    assert [len(line) for line in lines([number(12), number(12), number(24)])] == [2, 1]


@pytest.mark.parametrize("widths", [(12, 8), (12, 13), (4,)])
def test_a_hole_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="columns wide"):
        lines([number(w) for w in widths])


def test_panels_side_by_side_are_of_one_height() -> None:
    with pytest.raises(ValueError, match="differ in height"):
        lines([number(12, 4), number(12, 8)])


def test_a_folded_row_holds_its_panels_and_takes_one_line() -> None:
    panels = made(number(12), number(12), folded=True)["panels"]
    assert [panel["title"] for panel in panels] == ["First?", "Then?", "Up"]
    assert [panel["gridPos"]["y"] for panel in panels] == [0, 1, 2]
    assert [panel["gridPos"]["x"] for panel in panels[0]["panels"]] == [0, 12]


def test_an_open_row_is_followed_by_its_panels() -> None:
    panels = made(number(12), number(12))["panels"]
    assert [panel["gridPos"]["y"] for panel in panels] == [0, 1, 1, 5, 6]


def test_panels_are_numbered_through_folded_rows() -> None:
    panels = made(number(12), number(12), folded=True)["panels"]
    ids = [panel["id"] for panel in (panels[0], *panels[0]["panels"], *panels[1:])]
    assert ids == [1, 2, 3, 4, 5]


def test_queries_have_letters() -> None:
    panel = timeseries("Lines", ABOUT, "s", series("a", "a"), series("b", "b"), w=24)
    assert [target["refId"] for target in made(panel)["panels"][1]["targets"]] == ["A", "B"]


def test_a_description_names_what_is_asked_for() -> None:
    panel = timeseries("Lines", ABOUT, "s", series(quantile(0.5, "rlb.message.age"), "p50"), w=24)
    description = made(panel)["panels"][1]["description"]
    assert description.startswith("It shows this.\n\n**Bad:** much.\n\n**Next:** that.")
    assert description.endswith("**Metrics:** `rlb_message_age_seconds`")


def test_the_longest_name_of_a_metric_is_found() -> None:
    assert metrics_in("rlb_group_lag_age_seconds / rlb_group_lag{} + rlb_message_age_seconds_bucket") == [
        "rlb_group_lag_age_seconds",
        "rlb_group_lag",
        "rlb_message_age_seconds",
    ]


def test_nothing_is_null_but_the_beginning_of_thresholds() -> None:
    def nulls(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            return [each for key, inner in value.items() for each in nulls(inner, f"{path}.{key}")]
        if isinstance(value, list):
            return [each for inner in value for each in nulls(inner, path)]
        return [path] if value is None else []

    assert {path.rsplit(".", 2)[-2:].__repr__() for path in nulls(made(number(24)), "")} == {"['steps', 'value']"}


def test_the_text_is_the_same_each_time() -> None:
    assert text(made(number(24))) == text(made(number(24)))
    assert json.loads(text(made(number(24)))) == made(number(24))


def test_red_is_where_more_or_less_is_bad() -> None:
    more, less = (each.build().steps for each in (bad_above(2, 1), bad_below(1, 2)))
    assert [(step.value, step.color) for step in more] == [(None, "green"), (1, "orange"), (2, "red")]
    assert [(step.value, step.color) for step in less] == [(None, "red"), (1, "orange"), (2, "green")]


def test_a_table_has_a_query_and_a_title_for_each_column() -> None:
    columns = (Column("One", "s", "a"), Column("Two", "short", "b", bad_above(1)))
    panel = made(table("T", ABOUT, (Key("model", "Model", "/d/x", "There"),), *columns, no_value="Nothing"))["panels"][
        1
    ]
    assert panel["transformations"][1]["options"]["renameByName"] == {
        "model": "Model",
        "Value #A": "One",
        "Value #B": "Two",
    }
    assert all(target["instant"] and target["format"] == "table" for target in panel["targets"])
    properties = {
        override["matcher"]["options"]: {each["id"]: each["value"] for each in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    assert properties["Model"]["links"] == [{"title": "There", "url": "/d/x"}]
    assert [step["color"] for step in properties["Two"]["thresholds"]["steps"]] == ["text", "red"]
    assert properties["One"]["mappings"][0]["options"]["result"]["text"] == "-"


def test_a_link_carries_what_was_chosen() -> None:
    url = drill_down("rlb-groups", model=CELL)
    assert url.startswith("/d/rlb-groups?${datasource:queryparam}&${namespace:queryparam}&")
    assert "&var-model=${__value.text}&" in url
    assert "${model:queryparam}" not in url
    assert url.endswith("&${__url_time_range}")


def test_limits_are_those_of_the_alerts() -> None:
    assert limit("queue_ratio") == 0.8
    assert [in_words(name) for name in ("queue_ratio", "lag_age_seconds", "pending_idle_seconds")] == [
        "80 %",
        "10 s",
        "5 min",
    ]


@pytest.mark.parametrize("uid", ["rlb-overview", "rlb-groups", "rlb-streams", "rlb-quality", "rlb-sidecar"])
def test_a_dashboard_has_a_bounded_number_of_panels(uid: str) -> None:
    found = dashboards()[uid]["panels"]
    shown = [panel for panel in found if panel["type"] != "row"]
    assert len(shown) <= 30, "what is not asked for first belongs in a folded row, or on another dashboard"
