"""Alerts about what apps send: how fast, in which order, and whether it is taken."""

from __future__ import annotations

from dashboards.alerts.alert import Alert
from dashboards.alerts.promql import FIRST_TOKEN, PROCESS, TOKEN_INTERVAL, WHERE

OF_MODEL = ("namespace", "model")

HIGH_TOKEN_INTERVAL = Alert(
    name="RLBHighTokenInterval",
    expr=f"{TOKEN_INTERVAL} > %%tokenIntervalSeconds%%",
    for_="10m",
    severity="warning",
    summary="Tokens come with long pauses between them.",
    description="""
One pause in a hundred between tokens of model {{ $labels.model }} is longer than {{ $value | humanizeDuration }}, as
seen at the socket: the model server is slow or overloaded, before rlb has anything to do with it. First: the model
server's own load.""",
    dashboard="rlb-quality",
    variables=OF_MODEL,
)

HIGH_TIME_TO_FIRST_TOKEN = Alert(
    name="RLBHighTimeToFirstToken",
    expr=f"{FIRST_TOKEN} > %%timeToFirstTokenSeconds%%",
    for_="10m",
    severity="warning",
    summary="The first token is long in coming.",
    description="""
One generation in twenty of model {{ $labels.model }} waits longer than {{ $value | humanizeDuration }} for its first
token: requests queue at the model server, or its prompts have grown. First: the model server's queue.""",
    dashboard="rlb-quality",
    variables=OF_MODEL,
)

QUEUE_SATURATED = Alert(
    name="RLBQueueSaturated",
    # By memory: the number of messages that fit in depends on their size.
    expr=f"max by ({PROCESS}) (rlb_ingest_queue_size_bytes / rlb_ingest_queue_size_limit_bytes) > %%queueRatio%%",
    for_="5m",
    severity="warning",
    summary="A sidecar has nearly no room for further messages.",
    description=f"""
The queue of {WHERE} is {{{{ $value | humanizePercentage }}}} full: Redis takes messages more slowly than
apps send them, and soon apps are told to wait. First: the duration of XADD on the dashboard.""",
    dashboard="rlb-sidecar",
    variables=("namespace", "job", "instance"),
)

INGEST_REJECTING = Alert(
    name="RLBIngestRejecting",
    # A sidecar that drains refuses what comes late; that is part of every rollout.
    expr="""
sum by (namespace, reason) (rate(rlb_ingest_rejected_total{reason!="draining"}[5m]))
  / on (namespace) group_left ()
(
  sum by (namespace) (rate(rlb_ingest_rejected_total{reason!="draining"}[5m]))
  + on (namespace)
  (
    sum by (namespace) (rate(rlb_ingest_tokens_total[5m]))
    or
    0 * sum by (namespace) (rate(rlb_ingest_rejected_total[5m]))
  )
) > %%rejectedRatio%%""",
    for_="10m",
    severity="warning",
    summary="Messages from apps are refused.",
    description="""
{{ $value | humanizePercentage }} of what apps send is refused ({{ $labels.reason }}): users miss that part of their
answers unless the apps send it again. First: the log of such an app, which is told why with each refusal.""",
    dashboard="rlb-sidecar",
    variables=("namespace",),
)

SEQUENCE_ANOMALIES = Alert(
    name="RLBSequenceAnomalies",
    # A duplicate does no harm: it is what a cautious app sends after a broken connection, and is written once.
    expr="""
sum by (namespace, model, anomaly) (increase(rlb_sequence_anomalies_total{anomaly!="duplicate"}[10m]))
  > %%sequenceAnomalies%%""",
    for_="10m",
    severity="warning",
    summary="Messages of generations are missing or out of order when they arrive.",
    description="""
About {{ $value | printf "%.0f" }} messages of model {{ $labels.model }} in 10 minutes did not follow the one before
({{ $labels.anomaly }}), and it goes on: the app drops or mixes up what the model says. First: what changed in the
app.""",
    dashboard="rlb-quality",
    variables=OF_MODEL,
)

ALERTS = (HIGH_TOKEN_INTERVAL, HIGH_TIME_TO_FIRST_TOKEN, QUEUE_SATURATED, INGEST_REJECTING, SEQUENCE_ANOMALIES)
