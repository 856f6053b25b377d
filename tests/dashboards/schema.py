"""A dashboard as TypeScript, so that the compiler judges it by Grafana's own types: each panel by those of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.dashboards.boards import Board
from tests.support.typescript import PLAIN, constant

_COMPOSABLE = "@grafana/schema/dist/esm/raw/composable"

PANELS: Mapping[str, str] = {
    "bargauge": "BarGauge",
    "heatmap": "Heatmap",
    "histogram": "Histogram",
    "piechart": "PieChart",
    "stat": "Stat",
    "state-timeline": "StateTimeline",
    "status-history": "StatusHistory",
    "table": "Table",
    "text": "Text",
    "timeseries": "TimeSeries",
    "gauge": "Gauge",
}
"""Kinds of panels whose options have a type, by what their files are called."""

_WITH_FIELDS = frozenset(
    {"heatmap", "histogram", "piechart", "state-timeline", "status-history", "table", "timeseries"}
)
"""Those whose fields have options of their own."""

_OWN = """\
// What the query editor of Prometheus writes; the package has no type for it.
interface Target extends DataQuery {
  expr: string; legendFormat?: string; range?: boolean; instant?: boolean; exemplar?: boolean;
  format?: "time_series" | "table" | "heatmap"; editorMode?: "code" | "builder"; interval?: string;
  intervalFactor?: number;
}
// Its annotations have these next to the target too, and a variable its query as a text for the list of variables.
interface Annotation extends AnnotationQuery<Target> {
  expr?: string; step?: string; titleFormat?: string; textFormat?: string; tagKeys?: string; useValueForTime?: boolean;
}
type Whole = Omit<Dashboard, "annotations" | "templating"> & {
  annotations?: { list?: Annotation[] }; templating?: { list?: (VariableModel & { definition?: string })[] };
};
type Kept = Omit<Panel, "options" | "fieldConfig" | "targets">;
type Fields<F> = { defaults: Omit<FieldConfig, "custom"> & { custom?: F }; overrides: FieldConfigSource["overrides"] };
type Asking<O, F> = Kept & { options?: Partial<O>; targets?: Target[]; fieldConfig?: Fields<Partial<F>> };
"""

_HEAD = f"""\
import type {{ AnnotationQuery, Dashboard, DataQuery, FieldConfig, FieldConfigSource, Panel, VariableModel }}
  from "@grafana/schema";
{PLAIN}{_OWN}"""


def module(board: Board) -> str:
    """The whole of a dashboard, and each of its panels once more by itself."""
    panels = [panel for panel in board.everything if panel.get("type") != "row"]
    kinds = sorted({str(panel["type"]) for panel in panels} & PANELS.keys())
    imports = "".join(_import(kind) for kind in kinds)
    whole = constant("whole", "Plain<Whole>", board.json)
    return imports + _HEAD + whole + "".join(_panel(at, panel) for at, panel in enumerate(panels))


def _import(kind: str) -> str:
    name, folder = PANELS[kind], kind.replace("-", "")
    names = f"Options as {name}Options" + (f", FieldConfig as {name}Fields" if kind in _WITH_FIELDS else "")
    return f'import type {{ {names} }} from "{_COMPOSABLE}/{folder}/panelcfg/x/{name}PanelCfg_types.gen";\n'


def _panel(at: int, panel: Mapping[str, Any]) -> str:
    kind = str(panel["type"])
    assert kind in PANELS, f"{kind}: no type is known for this kind of panel"
    fields = f"{PANELS[kind]}Fields" if kind in _WITH_FIELDS else "Record<string, never>"
    return constant(f"panel{at}", f"Plain<Asking<{PANELS[kind]}Options, {fields}>>", panel)
