"""A dashboard as text: numbered, without what Grafana does not need, and the same each time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from dashboards.grafana.names import FAMILIES
from dashboards.grafana.sdk import JSONEncoder, models

_NAME = re.compile(r"\b(" + "|".join(re.escape(family) for family in FAMILIES) + r")(?:_bucket|_sum|_count)?\b")


_ASIDE = frozenset({"rlb_build_info", "rlb_monitor_leader", "rlb_monitor_observed"})
"""They say which instances count, in many queries, and are worth a word only where nothing else is asked for."""


def finished(dashboard: models.Dashboard) -> dict[str, Any]:
    """The dashboard as plain data: panels numbered from 1, the metrics named in each description."""
    plain: dict[str, Any] = json.loads(json.dumps(dashboard, cls=JSONEncoder))
    for number, panel in enumerate(_panels(plain), start=1):
        panel["id"] = number
        _name_metrics(panel)
        _shorten_links(panel)
        if panel["type"] == "table":
            # An option of tables no more, in newer Grafanas; without it older ones have no footer either.
            panel["options"].pop("footer", None)
    for variable in plain["templating"]["list"]:
        for key in [key for key in variable if key.startswith("auto")]:
            del variable[key]
    for each in (*plain["links"], *plain["annotations"]["list"]):
        # With it, newer Grafanas hide them in a menu.
        del each["placement"]
    cleaned: dict[str, Any] = _clean(plain)
    return cleaned


def text(plain: dict[str, Any]) -> str:
    """The text of a finished dashboard."""
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _panels(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in plain["panels"]:
        yield panel
        yield from panel.get("panels") or ()


def metrics_in(expression: str) -> list[str]:
    """The metrics that an expression asks for, in order, each once."""
    return list(dict.fromkeys(_NAME.findall(expression)))


def _name_metrics(panel: dict[str, Any]) -> None:
    found = dict.fromkeys(name for target in panel.get("targets") or () for name in metrics_in(target["expr"]))
    found = {name: None for name in found if name not in _ASIDE} or found
    if found and panel.get("description"):
        panel["description"] += f"\n\n**Metrics:** {', '.join(f'`{name}`' for name in found)}"


def _shorten_links(panel: dict[str, Any]) -> None:
    """The SDK gives links of values all that links of dashboards have."""
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    if defaults.get("links"):
        defaults["links"] = [{"title": each["title"], "url": each["url"]} for each in defaults["links"]]
    else:
        defaults.pop("links", None)


def _clean(value: Any) -> Any:
    """Without nulls, but for that of a first threshold, which means 'from the beginning'; 4.0 is 4."""
    if isinstance(value, dict):
        is_step = value.keys() == {"color", "value"}
        return {key: _clean(each) for key, each in value.items() if each is not None or is_step}
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
