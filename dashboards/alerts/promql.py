"""Pieces of expressions that several rules share.

What is polled is told by the observer of a Redis, and where there is none, by every sidecar that touches a stream: the
greatest is the truth then, for it is the fullest view. What is unknown is absent; so no rule takes "there is no such
series" for 0.
"""

from __future__ import annotations

GROUP = "namespace, model, group"
"""One consumer group on the streams of one model. Outside Kubernetes there is no namespace; nothing depends on it."""

TARGET = "namespace, job, instance"
PROCESS = f"{TARGET}, pod"
"""One process of rlb; `pod` for people, as there is none outside Kubernetes."""

OBSERVED = "namespace_job_instance:rlb_monitor_observed:scraped"
"""Sidecars beside an observer that Prometheus hears too, wherever that runs: they and it name the same lease. It tells
all of what they poll, and by name. They would be a second alert about the same groups, under their own namespace, or as
the `other` that they fold names into for which they have no room."""

HANDED_OVER = "2m"
"""For so long they stay beside it once it is gone: a scrape may miss one of the two, and where another takes over, they
know a moment later. Alerts that fire outlast it."""

WHERE = "{{ with $labels.pod }}{{ . }}{{ else }}{{ $labels.instance }}{{ end }}"
"""A process by a name that people can use: in Kubernetes, an instance is an address."""

LAG = "namespace_model_group:rlb_group_lag:max"
LAG_WORST = "namespace_model_group:rlb_group_lag_max:max"
LAG_AGE = "namespace_model_group:rlb_group_lag_age_seconds:max"
HEADROOM = "namespace_model_group:rlb_group_retention_headroom_seconds:min"
RETENTION_AGE = "namespace_model:rlb_stream_retention_age_seconds:max"
RETENTION_LIMIT = "namespace_model:rlb_stream_retention_limit:min"
ACTIVE = "namespace_model_group:rlb_group_consumers_active:max"
READ = "namespace_model_group:rlb_group_entries_read:increase2m"
HAS_READER = "namespace_model_group:rlb_group_consumers:known"
"""Groups that somebody reads or has read lately. A group that was only made is to be deleted, not to be called for."""

TOKEN_INTERVAL = "namespace_model:rlb_token_interval_seconds:p99_rate5m"  # noqa: S105 - no secret
FIRST_TOKEN = "namespace_model:gen_ai_server_time_to_first_token_seconds:p95_rate10m"  # noqa: S105 - no secret


REDIS_AWAY = "rlb_redis_up == 0"


OBSERVED_IN_WINDOW = f"max_over_time({OBSERVED}[15m])"
"""Sidecars that were beside an observer at some time in 15 minutes. What it has told of in a window of that length is
still in it when it has gone: they would tell all of it once more, under their own namespace."""


def told(polled: str) -> str:
    """What is polled, without what an observer tells better."""
    return f"{polled} unless on ({TARGET}) {OBSERVED}"


def increase_since_birth(counter: str, *, seen_by: str) -> str:
    """What a counter has gained in 15 minutes, its first value included.

    increase() takes the first value of a series for something that has always been there. Many of ours appear with
    their first event, or with their first thousand. A new series counts in full if the process was `seen_by`
    Prometheus 15 minutes ago, without it, or is younger than that and the minute until it was first seen. A process
    that only Prometheus is new to has a past that nobody needs to be called for.
    """
    return (
        f"increase({counter}[15m]) > 0\n"
        f"or\n"
        f"({counter} > 0 unless {counter} offset 15m)\n"
        f"and on ({TARGET})\n"
        f"({seen_by} offset 15m or on ({TARGET}) process_start_time_seconds > time() - 960)"
    )


def indented(text: str) -> str:
    """A text two spaces further to the right."""
    return "\n".join(f"  {line}" for line in text.splitlines())
