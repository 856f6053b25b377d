"""The telemetry of the telemetry, and what runs."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, tile, timeseries
from dashboards.grafana.queries import ours, rate, selector, together, top
from dashboards.grafana.style import BAD, COUNT, GOOD, PER_SECOND, SECONDS, WARN, about
from dashboards.grafana.tables import Column, Key, table
from dashboards.grafana.targets import now, series

NO_SIDECAR = "No sidecar"


def series_now() -> Panel:
    return tile(
        "Series scraped",
        about(
            "Samples that Prometheus takes from all sidecars and observers at each scrape.",
            bad="near the cap of series (`RLB_LIMITS__SERIES`) times the number of instances.",
            then="*Do numbers get out?* below.",
        ),
        COUNT,
        now(together("sum", ours(selector("scrape_samples_scraped")))),
        no_value=NO_SIDECAR,
    )


def samples() -> Panel:
    return timeseries(
        "Series of an instance",
        about(
            "Samples of each scrape, the ten largest instances.",
            bad="near the cap of series (`RLB_LIMITS__SERIES`): further models and groups are counted as `other`.",
            then="*Folded into other* beside.",
        ),
        COUNT,
        series(top(ours(selector("scrape_samples_scraped"))), "{{instance}}"),
        w=6,
        no_value=NO_SIDECAR,
    )


def scrapes() -> Panel:
    return timeseries(
        "Time of a scrape",
        about(
            "How long Prometheus waits for the metrics, the ten slowest instances.",
            bad="near the scrape's timeout: gaps follow.",
            then="*Event loop delay p99* and *CPU, of one core*.",
        ),
        SECONDS,
        series(top(ours(selector("scrape_duration_seconds"))), "{{instance}}"),
        w=6,
        no_value=NO_SIDECAR,
    )


def folded() -> Panel:
    return timeseries(
        "Folded into other",
        about(
            "Times each second that a new model, group or error was counted as `other`, as a cap was reached.",
            bad="any: dashboards and alerts cannot tell these apart.",
            then="raise the cap (`RLB_LIMITS__…`), or find out who makes up names. Alert: RLBCardinalityOverflow.",
        ),
        PER_SECOND,
        series(rate("rlb.cardinality.overflow", "attribute"), "{{attribute}}"),
        w=6,
        at_least=1,
        no_value=NO_SIDECAR,
    )


def exports() -> Panel:
    return timeseries(
        "Exports over OTLP",
        about(
            "Exports each second, by what they carry and how they ended; *dropped* counts single spans.",
            bad="*failed* or *dropped* for minutes.",
            then="the collector; the sidecar's log says once what is wrong. Alert: RLBTelemetryExportFailing.",
        ),
        PER_SECOND,
        series(rate("rlb.otlp.exports", ("signal", "outcome")), "{{signal}} {{outcome}}"),
        w=6,
        at_least=1,
        colours={
            "metrics ok": GOOD,
            "traces ok": "light-green",
            "metrics failed": BAD,
            "traces failed": "light-red",
            "traces dropped": WARN,
        },
        no_value="No collector is named",
    )


def versions() -> Panel:
    by = ("version", "revision", "python_version")
    return table(
        "Versions",
        about(
            "How many sidecars and observers run which version.",
            bad="more than one row after a rollout ended.",
            then="restart the pods that have the old one; they are in *Instances* above.",
        ),
        (Key("version", "Version"), Key("revision", "Revision"), Key("python_version", "Python")),
        Column("Instances", COUNT, together("count", selector("rlb.build.info"), by)),
        w=12,
        h=5,
        no_value=NO_SIDECAR,
        sort="Instances",
    )


def collections() -> Panel:
    runs = together("sum", ours(f"increase({selector('python_gc_collections_total')}[10m])"), "generation")
    return timeseries(
        "Garbage collections",
        about(
            "Runs of Python's garbage collector in the 10 min before, by generation, of all instances; few, as "
            "a sidecar asks for them rarely on purpose.",
            bad="generation 2 often: each run holds the event loop up.",
            then="*Event loop delay p99*; *Memory*.",
        ),
        COUNT,
        series(runs, "generation {{generation}}"),
        w=6,
        no_value=NO_SIDECAR,
    )
