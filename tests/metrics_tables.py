"""The generated part of docs/metrics.md: `make docs` writes it, a test holds the page against it."""

from __future__ import annotations

from pathlib import Path

from rlb.settings import LimitsSettings
from rlb.telemetry.catalogue import CATALOGUE, SECTIONS, Attribute, Metric, prometheus_label

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"

_BEGIN, _END = "<!-- metrics -->\n", "<!-- /metrics -->"


def with_tables(text: str) -> str:
    """The page with its generated part as it is now."""
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    return f"{head}{begin}{tables()}\n{end}{tail}"


def tables() -> str:
    """One table for each section of the catalogue, then the buckets."""
    parts = []
    for title, metrics in SECTIONS.items():
        parts += [f"## {title}", ""]
        parts += [
            "| in Prometheus | in OpenTelemetry | type | unit | labels | what it says |",
            "|---|---|---|---|---|---|",
        ]
        parts += [_row(metric) for metric in metrics]
        parts.append("")
    parts += ["## Buckets", "", "| histogram | upper bounds |", "|---|---|"]
    for metric in CATALOGUE.values():
        if metric.buckets:
            parts.append(f"| `{metric.prometheus_name}` | {', '.join(f'{bound:g}' for bound in metric.buckets)} |")
    worst = sum(metric.bound(LimitsSettings()) for metric in CATALOGUE.values())
    parts += ["", f"All label values that the default limits allow come to at most {worst:,} series."]
    return "\n".join(parts) + "\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(_label(attribute) for attribute in metric.of) or "none"
    kind = metric.kind.replace("updowncounter", "gauge")
    return f"| `{metric.prometheus_name}` | `{metric.name}` | {kind} | {metric.unit} | {labels} | {metric.help} |"


def _label(attribute: Attribute) -> str:
    name = f"`{prometheus_label(attribute.name)}`"
    return f"{name} ({', '.join(attribute.values)})" if attribute.values and len(attribute.values) > 1 else name


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
