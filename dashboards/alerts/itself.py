"""Alerts about rlb itself: whether it runs, reaches Redis, looks on, and can tell of it."""

from __future__ import annotations

from dashboards.alerts.alert import Alert
from dashboards.alerts.promql import PROCESS, REDIS_AWAY, TARGET, WHERE, increase_since_birth, indented
from dashboards.alerts.thresholds import MOST_RESTARTS

OF_PROCESS = ("namespace", "job", "instance")

REDIS_DOWN = Alert(
    name="RLBRedisDown",
    # One alert for a namespace, whether one process of it or all hundred have lost Redis.
    expr="count by (namespace) (rlb_redis_up == 0)",
    for_="1m",
    severity="critical",
    summary="Redis cannot be reached, or refuses rlb.",
    description="""
{{ if eq $value 1.0 }}One process of rlb has{{ else }}{{ $value | humanize }} processes of rlb have{{ end }} no
connection to Redis: what apps send is refused or lost once the queues are full, and nothing is known of streams and
groups. First: `rlb health` in one of them, then Redis itself.""",
    dashboard="rlb-overview",
    variables=("namespace",),
)

POLL_STALE = Alert(
    name="RLBPollStale",
    # The second part is for a process that was never answered, as with too few rights: it has no time to tell. One
    # that stands by has none either, and is well. Without Redis there is nothing to poll, which RLBRedisDown says.
    expr=f"""
(
  time() - max by ({PROCESS}) (rlb_poll_last_success_timestamp_seconds) > %%pollAgeSeconds%%
  or
  max by ({PROCESS}) (
    time() - process_start_time_seconds > %%pollAgeSeconds%%
    and on ({TARGET})
    (
      rlb_config_info{{scope!="off"}}
      unless on ({TARGET}) rlb_poll_last_success_timestamp_seconds
      unless on ({TARGET}) rlb_monitor_leader == 0
    )
  )
)
unless on ({TARGET}) {REDIS_AWAY}""",
    for_="5m",
    severity="warning",
    summary="Streams and groups are not looked at any more.",
    description=f"""
{WHERE} has not polled Redis with success for {{{{ $value | humanizeDuration }}}}: what the dashboards show
of lag is missing or old, and alerts about groups cannot fire. First: its /healthz, which says why polls fail.""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
)

NO_LEADER = Alert(
    name="RLBObserverHasNoLeader",
    # Only observers tell this. If none of them is left, they were there within the hour. Without Redis there can be no
    # leader, which RLBRedisDown says.
    expr="""
(
  max by (namespace, job) (rlb_monitor_leader) == 0
  unless
  max by (namespace, job) (rlb_redis_up) == 0
)
or
(
  0 * max by (namespace, job) (last_over_time(rlb_monitor_leader[1h]))
  unless
  max by (namespace, job) (rlb_monitor_leader)
)""",
    for_="5m",
    severity="warning",
    summary="None of the observers polls.",
    description="""
No observer of job {{ $labels.job }} watches the streams: they stand by for a leader that is not there, or are gone.
First: look whether the observer's pods run, then the /healthz of one of them; if that is well, Prometheus does not get
through to it (its page of targets).""",
    dashboard="rlb-sidecar",
    variables=("namespace", "job"),
)

PROBE_FAILING = Alert(
    name="RLBProbeFailing",
    expr=f"""
sum by ({PROCESS}) (rate(rlb_probe_attempts_total{{outcome="failed"}}[10m]))
/
sum by ({PROCESS}) (rate(rlb_probe_attempts_total[10m]))
  > %%probeFailedRatio%%""",
    for_="5m",
    severity="warning",
    summary="Synthetic messages do not come back from Redis.",
    description=f"""
{{{{ $value | humanizePercentage }}}} of the probes of {WHERE} do not make it through Redis and back: real
messages go the same way. First: its log (probe.failed says why).""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
)

_HAS_TOLD = f"on ({PROCESS}) present_over_time(rlb_build_info[3d])"

DOWN = Alert(
    name="RLBDown",
    # A target of rlb is one that has told so: this needs no job's name. By pod too, as addresses are given again.
    expr=f"up == 0 and {_HAS_TOLD}",
    for_="5m",
    severity="critical",
    summary="A process of rlb does not answer.",
    description=f"""
{WHERE} has not answered Prometheus for more than 5 minutes: the apps beside it can neither send nor read
messages, or it is the observer that nobody hears of. First: `kubectl describe pod` and the log of container rlb.""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
)

RESTARTS = Alert(
    name="RLBDown",
    # One that is started again each time never fails to answer for as long as the rule above waits, and is away for
    # most of the time nevertheless. Two restarts are a person at work, or one without memory and the next in order.
    expr=f"changes(process_start_time_seconds[20m]) > {MOST_RESTARTS} and {_HAS_TOLD}",
    for_="",
    keep_firing_for="10m",
    severity="critical",
    summary="A process of rlb starts again and again.",
    description=f"""
{WHERE} has started {{{{ $value }}}} times in 20 minutes: each end cuts off the apps beside it in the middle of what
they send and read, and until the next start they can do neither. First: `kubectl logs --previous` of container rlb, and
`kubectl describe pod` for how it ended (OOMKilled, exit code, liveness probe).""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
    labels={"case": "restarts"},
)

_LIKE = "namespace, job, container"

_NEVER_TOLD = f"""
up{{container!=""}} == 0
and on ({_LIKE})
present_over_time(rlb_build_info{{container!=""}}[3d])
unless {_HAS_TOLD}"""
"""Targets that have never told what they are, where the same container of the same job does: what a PodMonitor finds.
Where targets have no such label, as in a file of them, nothing tells them from other programs."""

_DID_NOT_START = f"""
{WHERE} has not answered Prometheus since it was made, so rlb has not started in it: its apps wait, or cannot send."""

NEW_DOWN = Alert(
    name="RLBDown",
    # A ticket: nobody is served by this pod yet. Long enough for images, and for what other init containers fetch.
    expr=_NEVER_TOLD,
    for_="10m",
    severity="warning",
    summary="A new process of rlb does not start.",
    description=f"""
{_DID_NOT_START} First: `kubectl describe pod`: exit code 78 is a bad setting, which the last line of the log of
container rlb names; an init container that is still at work is no fault.""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
    labels={"case": "new"},
)

NONE_STARTS = Alert(
    name="RLBDown",
    expr=f"""{_NEVER_TOLD}
unless on ({_LIKE})
up == 1""",
    for_="30m",
    severity="critical",
    summary="No new process of rlb starts, and none of the old ones is left.",
    description=f"""
{_DID_NOT_START} Nor is there any other that works in job {{{{ $labels.job }}}}. First: `kubectl describe pod`: exit
code 78 is a bad setting, which the last line of the log of container rlb names: roll that back.""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
    labels={"case": "new"},
)

TARGETS_MISSING = Alert(
    name="RLBTargetsMissing",
    expr="absent(rlb_build_info)",
    for_="15m",
    severity="critical",
    summary="Prometheus finds no process of rlb at all.",
    description="""
No target has told of itself as rlb for 15 minutes, so none of the other alerts can fire: all of it is gone, or
Prometheus does not look where it is. First: the page of targets of Prometheus, then the PodMonitor.""",
    dashboard="rlb-overview",
)

EVENT_LOOP_LAG = Alert(
    name="RLBEventLoopLag",
    expr=f"""
histogram_quantile(0.99, sum by ({PROCESS}, le) (rate(rlb_eventloop_lag_seconds_bucket[5m])))
  > %%eventLoopLagSeconds%%""",
    for_="10m",
    severity="warning",
    summary="A process of rlb is late with everything it does.",
    description=f"""
The event loop of {WHERE} runs {{{{ $value | humanizeDuration }}}} late at times, and so does every token in
it: it has too little CPU, or is throttled. First: CPU and throttling of the container.""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
)

CARDINALITY_OVERFLOW = Alert(
    name="RLBCardinalityOverflow",
    expr=f"""
sum by (namespace, job) (
{indented(increase_since_birth("rlb_cardinality_overflow_total", seen_by="rlb_build_info"))}
) > 0""",
    for_="",
    keep_firing_for="1h",
    severity="info",
    summary="There are more models, groups or errors than have series of their own.",
    description="""
About {{ $value | printf "%.0f" }} models, groups or kinds of error more than have room are counted as "other" from now
on, and alerts cannot name them. First: see on the dashboard which, and whether they are meant; RLB_LIMITS__SERIES
gives room, and an observer has more than a sidecar.""",
    dashboard="rlb-sidecar",
    variables=("namespace", "job"),
)

EXPORT_FAILING = Alert(
    name="RLBTelemetryExportFailing",
    # "dropped" counts spans, not exports.
    expr=f"""
sum by ({PROCESS}, signal) (rate(rlb_otlp_exports_total{{outcome="failed"}}[15m]))
/
sum by ({PROCESS}, signal) (rate(rlb_otlp_exports_total{{outcome=~"ok|failed"}}[15m]))
  > %%exportFailedRatio%%""",
    for_="15m",
    severity="warning",
    summary="Telemetry does not reach the collector.",
    description=f"""
{{{{ $value | humanizePercentage }}}} of the exports of {{{{ $labels.signal }}}} from {WHERE} fail: they are
missing in the backend. First: its log (otlp.export_fails says why), then the collector.""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
)

CLOCK_SKEW = Alert(
    name="RLBClockSkew",
    expr=f"max by ({PROCESS}) (abs(rlb_redis_clock_skew_seconds)) > %%clockSkewSeconds%%",
    for_="15m",
    severity="warning",
    summary="The clocks of Redis and of a process of rlb differ.",
    description=f"""
The clock of {WHERE} and that of Redis are {{{{ $value | humanizeDuration }}}} apart: rlb allows for it, but
apps that compare their own time with that of messages see wrong ages. First: time synchronisation of both nodes.""",
    dashboard="rlb-sidecar",
    variables=OF_PROCESS,
)

ALERTS = (
    REDIS_DOWN,
    POLL_STALE,
    NO_LEADER,
    PROBE_FAILING,
    DOWN,
    RESTARTS,
    NEW_DOWN,
    NONE_STARTS,
    TARGETS_MISSING,
    EVENT_LOOP_LAG,
    CARDINALITY_OVERFLOW,
    EXPORT_FAILING,
    CLOCK_SKEW,
)
