"""Alerts about messages: lost, about to be, or delivered and left."""

from __future__ import annotations

from dashboards.alerts.alert import Alert
from dashboards.alerts.groups import HERE, OF_GROUP, WHO
from dashboards.alerts.promql import (
    GROUP,
    HAS_READER,
    HEADROOM,
    LAG_AGE,
    LAG_WORST,
    OBSERVED_IN_WINDOW,
    REDIS_AWAY,
    RETENTION_AGE,
    RETENTION_LIMIT,
    TARGET,
    increase_since_birth,
    indented,
    told,
)
from dashboards.alerts.thresholds import FEWEST_FAILED_WRITES

_LOST = increase_since_birth("rlb_group_lost_total", seen_by="rlb_poll_last_success_timestamp_seconds")
_DROPPED = increase_since_birth("rlb_write_dropped_total", seen_by="rlb_build_info")

_WAS_AWAY = "min_over_time(rlb_redis_up[15m]) == 0"

_NOT_WRITTEN = f"""
sum by (namespace, reason) (
  (
{indented(indented(_DROPPED))}
  )
  unless on ({TARGET}) {_WAS_AWAY}
) > %%lostMessages%%"""
"""Lost on the way to Redis: each sidecar's own, so the sum. Not what an outage of Redis has cost, of which RLBRedisDown
tells."""

_COULD_NOT_BE_WRITTEN = """that apps had handed over could not be written to Redis ({{ $labels.reason }}); the apps were
told. First: {{ if eq $labels.reason "retry_exhausted" }}`rlb health` in a sidecar of the namespace: for a minute after
the last, its line "writes" says why; after that the log does (append.refused)
{{- else }}the write errors by type on the dashboard rlb / Overview{{ end }}"""

MESSAGES_LOST = Alert(
    name="RLBMessagesLost",
    # Lost on the way to a group: polled, so the greatest of what several tell, and nobody has been told but us, so
    # from the first. Of what was lost on the way to Redis the apps know: a few messages wake nobody.
    expr=f"""
max by ({GROUP}) (
  (
{indented(indented(_LOST))}
  )
  unless on ({TARGET}) {OBSERVED_IN_WINDOW}
) > %%lostMessages%%
and
{HAS_READER}
or{_NOT_WRITTEN} > {FEWEST_FAILED_WRITES}""",
    for_="",
    severity="critical",
    summary="Messages were lost.",
    description=f"""
About {{{{ $value | printf "%.0f" }}}} messages
{{{{ if $labels.reason }}}}{_COULD_NOT_BE_WRITTEN}{{{{ else }}}}were trimmed before group
{{{{ $labels.group }}}} on model {{{{ $labels.model }}}} had read them. First: `rlb groups` {HERE}, and see
whether it goes on{{{{ end }}}}.""",
    dashboard="rlb-streams",
    variables=OF_GROUP,
)

A_FEW_LOST = Alert(
    name="RLBMessagesLost",
    # A minute's patience: what began slowly, or has nearly passed, is told by the rule above.
    expr=f"{_NOT_WRITTEN} <= {FEWEST_FAILED_WRITES}",
    for_="1m",
    severity="warning",
    summary="A few messages were lost.",
    description=f"""
About {{{{ $value | printf "%.0f" }}}} messages {_COULD_NOT_BE_WRITTEN}.""",
    dashboard="rlb-overview",
    variables=("namespace",),
    labels={"case": "few"},
)

LOST_BY_OUTAGE = Alert(
    name="RLBMessagesLost",
    # The bill, once Redis is back: a ticket, as nobody can change it any more.
    expr=f"""
sum by (namespace, reason) (
  (
{indented(indented(_DROPPED))}
  )
  and on ({TARGET}) {_WAS_AWAY}
  unless on ({TARGET}) {REDIS_AWAY}
) > %%lostMessages%%""",
    for_="",
    severity="warning",
    summary="Messages were lost while Redis was away.",
    description="""
About {{ $value | printf "%.0f" }} messages that apps had handed over could not be written to Redis while it was away
({{ $labels.reason }}); the apps were told. First: ask their owners whether they were sent again.""",
    dashboard="rlb-streams",
    variables=("namespace",),
)

_BEING_LOST = "increase(rlb_group_lost_total[15m])"
"""Whoever tells it: what a sidecar has seen while it was beside an observer is told under the observer's name."""

RETENTION_AT_RISK = Alert(
    name="RLBRetentionAtRisk",
    # The monitor's own forecast first, once the oldest undelivered message has lived longer than it has left: before,
    # it may be one that is on its way, on a stream that the next write keeps alive. The share of age is for streams of
    # unknown limits; it says nothing as long as nothing is removed, for then a group that has read nothing is as far
    # behind as the stream is old. Once messages are lost, RLBMessagesLost tells.
    expr=f"""
(
  {HEADROOM} < %%retentionHeadroomSeconds%%
  and
  {HEADROOM} < {LAG_AGE}
  and
  {HAS_READER}
  unless
  max by ({GROUP}) ({_BEING_LOST}) > 0
)
or
(
  (
    {RETENTION_AGE}
      - on (namespace, model) group_right ()
    {LAG_AGE}
  )
  and
  {LAG_AGE}
    / on (namespace, model) group_left ()
  {RETENTION_AGE}
    > %%retentionUsedRatio%%
  and on (namespace, model)
  max by (namespace, model) ({told("increase(rlb_stream_trimmed_total[15m])")}) > 0
  and
  {HAS_READER}
  unless on (namespace, model)
  {RETENTION_LIMIT}
)""",
    for_="2m",
    keep_firing_for="5m",
    severity="critical",
    summary="Messages are about to be removed before a consumer group has read them.",
    description=f"""
{WHO} will lose messages
{{{{ if lt $value 1.0 }}}}at any moment{{{{ else }}}}in {{{{ $value | humanizeDuration }}}}{{{{ end }}}} if nothing
changes: they are trimmed or expire before it gets to them. First: `rlb streams --sort age` {HERE}; more
consumers, or a longer retention, buy time.""",
    dashboard="rlb-streams",
    variables=OF_GROUP,
)

NEAR_CAPACITY = Alert(
    name="RLBStreamNearCapacity",
    # A stream that is full is as it should be: it is trimmed at its limit. What matters is how much of it is unread.
    expr=f"""
{LAG_WORST}
  / on (namespace, model) group_left ()
{RETENTION_LIMIT}
  > %%streamUnreadRatio%%""",
    for_="15m",
    keep_firing_for="5m",
    severity="info",
    summary="Most of what a stream can hold is undelivered.",
    description=f"""
{WHO} has not read {{{{ $value | humanizePercentage }}}} of what its worst stream keeps before it is trimmed: one pause
more, and messages are lost. First: `rlb streams --sort lag` {HERE}; a larger
stream.max_length gives room.""",
    dashboard="rlb-streams",
    variables=OF_GROUP,
)

PENDING_STUCK = Alert(
    name="RLBPendingStuck",
    # Not the age of the oldest pending message: a group that is an hour behind works on messages an hour old.
    expr=f"max by ({GROUP}) ({told('rlb_group_pending_idle_seconds')}) > %%pendingIdleSeconds%%",
    for_="10m",
    keep_firing_for="5m",
    severity="warning",
    summary="Messages were delivered, and nobody has acknowledged them or taken them over.",
    description=f"""
{WHO} holds messages that were last delivered {{{{ $value | humanizeDuration }}}} ago and are still not acknowledged:
their consumer hangs or has gone, and no other one claims what it left. First: `rlb groups` {HERE},
then `rlb pending` on the stream with the most, which names the consumer.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

_GIVEN_UP = increase_since_birth("rlb_message_dead_lettered_total", seen_by="rlb_build_info")

POISON = Alert(
    name="RLBPoisonMessages",
    # rlb's own consumers set such a message aside as a dead letter; with others it stays where it is.
    expr=f"""
max by ({GROUP}) ({told("rlb_group_poison")}) > %%poisonMessages%%
or
sum by (namespace, group) (
{indented(_GIVEN_UP)}
) > %%poisonMessages%%""",
    for_="10m",
    keep_firing_for="5m",
    severity="warning",
    summary="Messages fail each time that they are delivered.",
    description=f"""
Group {{{{ $labels.group }}}} has {{{{ if $labels.model }}}}{{{{ $value | humanize }}}} pending messages on model
{{{{ $labels.model }}}} that were delivered as often as is allowed and never acknowledged: consumers crash on them or
refuse them. First: `rlb groups` {HERE}, then the runbook, to set them aside{{{{ else }}}}given up about
{{{{ $value | printf "%.0f" }}}} messages in 15 minutes, after as many deliveries as are allowed: they are dead letters
now. First: `rlb dlq list -g {{{{ $labels.group }}}}`, then the log of the consumers{{{{ end }}}}.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

ALERTS = (MESSAGES_LOST, A_FEW_LOST, LOST_BY_OUTAGE, RETENTION_AT_RISK, NEAR_CAPACITY, PENDING_STUCK, POISON)
