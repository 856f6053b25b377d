"""Writes what is generated in the chart: thresholds in values.yaml, the schema, the README's table, rendered examples.

    python -m tests.helm.generated [--check]

The tests hold the files against what would be written.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dashboards.alerts.thresholds import THRESHOLDS, text_of
from tests.helm import examples, kustomized, values_schema
from tests.helm.documented import VALUES, Value, all_values
from tests.helm.user_chart import user_chart
from tests.support.helm import CHART, HELM_4, MONITORING_APIS, REPOSITORY, has_helm_4

README = CHART / "README.md"
CASES = sorted((CHART / "ci").glob("*-values.yaml"))
"""Values to render the chart with; each is an example, too."""


def stale_files() -> Iterator[tuple[Path, str]]:
    """The files that are not what they would be, and their text if they were written now.

    In this order, as the later ones are made of the earlier: write each before the next is asked for.
    """
    for path, text in _all_files():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield path, text


def _all_files() -> Iterator[tuple[Path, str]]:
    yield VALUES, _between(VALUES.read_text(encoding="utf-8"), "# <thresholds>", "# </thresholds>", _thresholds(), 4)
    yield values_schema.SCHEMA, values_schema.text()
    readme = README.read_text(encoding="utf-8")
    yield README, _between(readme, "<!-- values -->", "<!-- /values -->", _table(), 0)
    if not has_helm_4():
        return
    for case in CASES:
        yield rendered_file(case), rendered(case)
    yield CHART / "rendered" / "app-with-sidecar.yaml", rendered_app()
    for path, objects in kustomized.generated():
        yield path, _as_yaml("the chart", objects)
    for path, name, objects in examples.generated():
        yield path, _as_yaml(name, [_short(item) for item in objects])


def rendered_file(case: Path) -> Path:
    """Where the rendering of a case is kept."""
    return CHART / "rendered" / case.name.replace("-values", "")


def rendered(case: Path) -> str:
    """A case as Helm 4 renders it, in a cluster with all operators.

    Rules are only hinted at, as are dashboards, of which one stands for all.
    """
    values = yaml.safe_load(case.read_text(encoding="utf-8"))
    objects = HELM_4.render(CHART, values, api_versions=MONITORING_APIS)
    return _as_yaml(f"ci/{case.name}", [_short(item) for item in objects if not _is_another_dashboard(item)])


def rendered_app() -> str:
    """The app of the README's example, with its sidecar."""
    with user_chart() as chart:
        objects = HELM_4.render(chart, api_versions=MONITORING_APIS)
    return _as_yaml("the example in README.md", [item for item in objects if item["metadata"]["name"] == "chat"])


def _as_yaml(source: str, objects: list[dict[str, Any]]) -> str:
    head = f"# {source}, rendered. Written by `make docs`.\n"
    return head + yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, explicit_start=True, width=1000)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and lists a little further in than what holds them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT002
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _is_another_dashboard(item: Mapping[str, Any]) -> bool:
    _, of_dashboard, name = item["metadata"]["name"].partition("-dashboard-")
    return bool(of_dashboard) and name != "overview"


_FOLDERS = {"json": "dashboards/", "py": ""}
"""Where long texts of ConfigMaps come from, by their ending."""


def _short(item: Mapping[str, Any]) -> dict[str, Any]:
    if item["kind"] == "PrometheusRule":
        return {**item, "spec": {"groups": "<files/rules>"}}
    if item["kind"] == "ConfigMap":
        data = {
            key: f"<files/{_FOLDERS[ending]}{key}>\n" if (ending := key.rpartition(".")[2]) in _FOLDERS else text
            for key, text in item["data"].items()
        }
        return {**item, "data": data}
    return dict(item)


def _between(text: str, begin: str, end: str, inner: str, indent: int) -> str:
    head, _, rest = text.partition(f"{begin}\n")
    tail = rest.partition(end)[2]
    return f"{head}{begin}\n{textwrap.indent(inner, ' ' * indent)}{' ' * indent}{end}{tail}"


def _thresholds() -> str:
    lines = []
    for threshold in THRESHOLDS.values():
        lines += textwrap.wrap(f"# -- {threshold.meaning}", 116, subsequent_indent="# ")
        default = f'"{threshold.default}"' if isinstance(threshold.default, str) else text_of(threshold.default)
        lines.append(f"{threshold.camel}: {default}")
    return "\n".join(lines) + "\n"


def _table() -> str:
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    rows += [f"| `{value.name}` | {_default(value)} | {value.text} |" for value in all_values() if value.text]
    return "\n".join(rows).replace(r"archive|nightly", r"archive\|nightly") + "\n"


def _default(value: Value) -> str:
    if value.default in ("", None):
        return ""
    if isinstance(value.default, dict | list):
        flow = yaml.safe_dump(value.default, default_flow_style=True, sort_keys=False, width=1000)
        return f"`{flow.strip()}`"
    return f"`{yaml.safe_dump(value.default).splitlines()[0]}`"


def main() -> int:
    """Write what is stale, or with `--check` only tell of it."""
    is_check = "--check" in sys.argv[1:]
    count = 0
    for path, text in stale_files():
        count += 1
        shown = path.relative_to(REPOSITORY)
        if is_check:
            print(f"{shown} is stale: run `make docs`")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {shown}")
    return 1 if is_check and count else 0


if __name__ == "__main__":
    raise SystemExit(main())
