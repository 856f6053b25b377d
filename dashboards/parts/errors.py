"""What is refused, what fails and what is lost."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, timeseries
from dashboards.grafana.queries import rate, top
from dashboards.grafana.style import BAD, MESSAGES_PER_SECOND, WARN, about
from dashboards.grafana.targets import series

SENT = "messaging.client.sent.messages"
FAILED = {"error_type": '!=""'}


def refused() -> Panel:
    """What apps are not let in with."""
    return timeseries(
        "Refused messages by reason",
        about(
            "Messages refused before they were queued; the app is told at once.",
            bad="`queue_full`: writes do not keep up. `schema`, `invalid_json`, `too_large`: an app is wrong. "
            "`unauthorized`: a wrong token.",
            then="the app's log has the answer it got; *What is full or slow?* for `queue_full`. Alert: "
            "RLBIngestRejecting.",
        ),
        MESSAGES_PER_SECOND,
        series(rate("rlb.ingest.rejected", "reason"), "{{reason}}"),
        w=8,
        at_least=1,
        no_value="No sidecar",
    )


def failing() -> Panel:
    """What Redis does not take."""
    return timeseries(
        "Failed writes, retries and polls",
        about(
            "Messages that could not be written, messages sent again, and commands of polls that failed, by kind of "
            "error.",
            bad="failed writes at all; retries for minutes.",
            then="`rlb health` in a pod; then Redis itself: memory (`OOM`), rights (`NOPERM`: `rlb acl`), "
            "failover (`READONLY`). Alerts: RLBWriteErrorBudgetBurn, RLBRedisDown.",
        ),
        MESSAGES_PER_SECOND,
        series(top(rate(SENT, "error_type", FAILED)), "failed {{error_type}}"),
        series(top(rate("rlb.write.retries", "error_type")), "again {{error_type}}"),
        series(top(rate("rlb.poll.errors", "error_type")), "poll {{error_type}}"),
        w=8,
        at_least=1,
        no_value="No errors",
    )


def losing() -> Panel:
    """What somebody will miss."""
    return timeseries(
        "Lost, dropped and out of order",
        about(
            "Messages removed before a group got them (lost, or gone with their stream), messages that were taken and "
            "then could not be written (dropped), and sequence numbers that do not follow the one before.",
            bad="any of lost, gone or dropped. Gaps mean that an app lost messages before the bridge.",
            then="the dashboard *Streams and retention*; `rlb-top` shows losing groups first. Alerts: RLBMessagesLost, "
            "RLBSequenceAnomalies.",
        ),
        MESSAGES_PER_SECOND,
        series(rate("rlb.group.lost"), "lost"),
        series(rate("rlb.group.gone"), "gone with a stream"),
        series(rate("rlb.write.dropped"), "dropped"),
        series(rate("rlb.sequence.anomalies"), "out of sequence"),
        w=8,
        at_least=1,
        colours={"lost": BAD, "gone with a stream": WARN, "dropped": "purple", "out of sequence": "yellow"},
        no_value="Nothing lost",
    )
