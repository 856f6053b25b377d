"""How much streams hold, what it costs, and how fast it turns over."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, timeseries
from dashboards.grafana.queries import level, rate, selector, together, told, top
from dashboards.grafana.style import BYTES, CALM, COUNT, MESSAGES_PER_SECOND, NEUTRAL, SHARE, WARN, about
from dashboards.grafana.tables import Column, Key, table
from dashboards.grafana.targets import series
from dashboards.parts.retention import NO_STREAM


def streams() -> Panel:
    return timeseries(
        "Streams",
        about(
            "Streams that are watched, by model.",
            bad="it only grows: nothing expires. Each stream costs memory and time to poll.",
            then="`RLB_STREAM__RETENTION_MS`; `rlb streams --sort age`.",
        ),
        COUNT,
        series(top(level("rlb.stream.count", "model")), "{{model}}"),
        w=8,
        stacked=True,
        no_value=NO_STREAM,
    )


def messages() -> Panel:
    return timeseries(
        "Messages kept",
        about(
            "Messages in all streams, by model.",
            bad="far more than groups will still read.",
            then="`RLB_STREAM__MAX_LENGTH`; `rlb streams --sort length`.",
        ),
        COUNT,
        series(top(level("rlb.stream.length", "model")), "{{model}}"),
        w=8,
        stacked=True,
        no_value=NO_STREAM,
    )


def memory() -> Panel:
    return timeseries(
        "Memory in Redis",
        about(
            "Memory of the streams, by model, estimated from a sample of them.",
            bad="it comes near Redis' `maxmemory`: writes will fail with `OOM`.",
            then="keep less, or give Redis more; *Messages kept* beside says of which model.",
        ),
        BYTES,
        series(top(level("rlb.stream.memory", "model")), "{{model}}"),
        w=8,
        stacked=True,
        no_value="No stream is watched, or Redis may not be asked for memory",
    )


def fill() -> Panel:
    share = f"{level('rlb.stream.length.max', 'model')} / {level('rlb.stream.retention.limit', 'model')}"
    return timeseries(
        "Longest stream, of its limit",
        about(
            "Messages in the longest stream of each model against the length at which streams are trimmed. A little "
            "above 100 % is usual, as trimming is approximate.",
            bad="100 % while a group is behind on it: it loses messages.",
            then="*Until messages are lost* above. Alert: RLBStreamNearCapacity.",
        ),
        SHARE,
        series(top(share), "{{model}}"),
        w=8,
        no_value="No stream is watched, or none has a limit",
    )


def per_stream() -> Panel:
    mean = f"{level('rlb.stream.length')} / ({level('rlb.stream.count')} > 0)"
    return timeseries(
        "Messages of a stream",
        about(
            "Messages in a stream: the mean, the longest one, and the smallest limit at which one is trimmed.",
            bad="the longest far above the mean: one session writes without end.",
            then="`rlb streams --sort length` names it; `rlb trim` shortens it.",
        ),
        COUNT,
        series(mean, "mean"),
        series(level("rlb.stream.length.max"), "longest"),
        series(level("rlb.stream.retention.limit"), "limit"),
        w=8,
        colours={"limit": NEUTRAL},
        dashed="C",
        logarithmic=True,
        lowest=None,
        no_value=NO_STREAM,
    )


def per_message() -> Panel:
    size = f"{level('rlb.stream.memory', 'model')} / ({level('rlb.stream.length', 'model')} > 0)"
    return timeseries(
        "Memory of a message",
        about(
            "Memory in Redis for each message kept, by model.",
            bad="a multiple of what the app sends: many short streams, or large `metadata`.",
            then="compare with *Bytes accepted* of the dashboard *Sidecar internals*.",
        ),
        BYTES,
        series(top(size), "{{model}}"),
        w=8,
        no_value="No stream is watched, or Redis may not be asked for memory",
    )


def turnover() -> Panel:
    return timeseries(
        "Written and trimmed",
        about(
            "Messages written to streams, by whomever, and messages removed by trimming or with an expired stream.",
            bad="trimmed above 0 while groups are behind.",
            then="*Lost before delivery* above says whether anybody missed them.",
        ),
        MESSAGES_PER_SECOND,
        series(rate("rlb.stream.entries_added"), "written"),
        series(rate("rlb.stream.trimmed"), "trimmed"),
        colours={"written": CALM, "trimmed": WARN},
        no_value=NO_STREAM,
    )


def churn() -> Panel:
    change = together("max", told(f"delta({selector('rlb.stream.count')}[10m])"), ("namespace", "model"))
    return timeseries(
        "Change of streams in 10 min",
        about(
            "By how many there are more streams than ten minutes before, or fewer, by model.",
            bad="it stays above 0: sessions begin and none expires.",
            then="`RLB_STREAM__RETENTION_MS`; *Streams* above.",
        ),
        COUNT,
        series(top(together("sum", change, "model")), "{{model}}"),
        lowest=None,
        no_value=NO_STREAM,
    )


def settings(w: int = 24) -> Panel:
    by = ("scope", "trim_policy", "max_length", "retention_ms", "interval_seconds")
    return table(
        "Settings in force",
        about(
            "How many sidecars and observers run with which settings.",
            bad="two rows with scope *own*: some pods have other settings than others.",
            then="`rlb config` in a pod shows all of them, and where each comes from.",
        ),
        (
            Key("scope", "Watches"),
            Key("trim_policy", "Trimming"),
            Key("max_length", "Longest stream"),
            Key("retention_ms", "Kept for (ms)"),
            Key("interval_seconds", "Polls each (s)"),
        ),
        Column("Instances", COUNT, together("count", selector("rlb.config.info"), by)),
        w=w,
        h=5,
        no_value="No sidecar",
        sort="Instances",
    )
