"""Alerts about consumer groups: who is behind, who stands still, and what is about to be lost."""

from __future__ import annotations

from dashboards.alerts.alert import Alert
from dashboards.alerts.promql import (
    ACTIVE,
    GROUP,
    HAS_READER,
    HEADROOM,
    LAG,
    LAG_AGE,
    LAG_WORST,
    OBSERVED,
    READ,
    REDIS_AWAY,
    RETENTION_AGE,
    RETENTION_LIMIT,
    TARGET,
    increase_since_birth,
    indented,
    told,
)

OF_GROUP = ("namespace", "model", "group")
WHO = "Group {{ $labels.group }} on model {{ $labels.model }}"


def _streams(status: str) -> str:
    """Groups with streams of that status. Without such streams there is no series, not a 0."""
    selector = f'rlb_group_streams{{status="{status}"}}'
    return f"max by ({GROUP}) ({told(selector)}) > 0"


_STREAMS_UNKNOWN = told('rlb_group_lag_streams{quality="unknown"}')
_CONSUMERS_IDLE = told('rlb_group_consumers{state="idle"}')


_READS = f"{ACTIVE} > 0\nor\n{READ} > 0"
"""Groups that were handed something lately, on any stream. Consumers alone would miss those that were removed since,
the counter alone servers below 7.0, where it does not move."""

_DEAD = (
    f"{LAG_AGE} > 3600\n"
    f"unless on (namespace, model)\n"
    f"max by (namespace, model) ({told('increase(rlb_stream_entries_added_total[1h])')}) > 0"
)
"""Groups that were left behind on streams that nobody writes to any more: a matter for the day, not for the night."""

STALLED = Alert(
    name="RLBConsumerGroupStalled",
    # Either the group as a whole reads nothing, or its consumers call and get nowhere on some stream. One stream of
    # many that nobody reads is no stall: as likely, its session is over.
    expr=f"""
(
  {LAG} > 0
  and
  {HAS_READER}
  unless
  (
{indented(indented(_READS))}
  )
  unless
  (
{indented(indented(_DEAD))}
  )
)
or
(
  {LAG} > 0
  and
{indented(_streams("stalled"))}
)""",
    for_="5m",
    keep_firing_for="5m",
    severity="critical",
    summary="A consumer group has undelivered messages and reads nothing.",
    description=f"""
{WHO} has {{{{ $value | humanize }}}} undelivered messages and has stood still for more than 5 minutes: whoever waits
for its output waits in vain, and what it does not read is removed in the end. First: `rlb groups`, which says for each
stream whether consumers call ("stalled") or are gone ("stopped").""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

LAGGING = Alert(
    name="RLBConsumerGroupLagging",
    # The second part keeps a firing alert while the age is not known, as long as the group is there: not known is not
    # solved. It never begins one.
    expr=f"""
(
  {LAG_AGE} > %%lagAgeSeconds%%
  and
  {HAS_READER}
)
or
(
  last_over_time({LAG_AGE}[15m]) > %%lagAgeSeconds%%
  unless
  {LAG_AGE}
  and on ({GROUP})
  max by ({GROUP}) ({_STREAMS_UNKNOWN}) > 0
  and on ({GROUP})
  ALERTS{{alertname="RLBConsumerGroupLagging", alertstate="firing"}}
)""",
    for_="5m",
    keep_firing_for="5m",
    severity="warning",
    summary="A consumer group is behind.",
    description=f"""
{WHO} has not been handed messages that are {{{{ $value | humanizeDuration }}}} old: it reads more slowly than apps
write. First: `rlb streams --sort lag`, to see whether it is one stream or all of them.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

LAG_GROWING = Alert(
    name="RLBConsumerGroupLagGrowing",
    # Growth as such is no reason to tell anybody; growth that ends in a loss is. When it does, the monitor says
    # (headroom: stream by stream, by length, age and expiry), or the trend of the worst stream against its limit.
    # The headroom of a group that keeps up may be the expiry of a stream of which one entry is on its way.
    expr=f"""
deriv({LAG}[10m]) > 0
and
{LAG} > %%lagGrowingMessages%%
and
{HAS_READER}
and
(
  (
    {HEADROOM} < %%lagHorizonSeconds%%
    and
    {LAG_AGE} > %%lagAgeSeconds%%
  )
  or
  predict_linear({LAG_WORST}[10m], %%lagHorizonSeconds%%)
    > on (namespace, model) group_left ()
  {RETENTION_LIMIT}
)""",
    for_="15m",
    severity="warning",
    summary="A consumer group falls further behind, and will lose messages if that goes on.",
    description=f"""
{WHO} falls behind by {{{{ $value | printf "%.1f" }}}} messages a second, and at this rate messages are removed before
it has read them. First: `rlb-top --mode groups --sort headroom`, then give it more consumers or faster ones.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

RETENTION_AT_RISK = Alert(
    name="RLBRetentionAtRisk",
    # The monitor's own forecast first, once the oldest undelivered message has lived longer than it has left: before,
    # it may be one that is on its way, on a stream that the next write keeps alive. The share of age is for streams of
    # unknown limits; it says nothing as long as nothing is removed, for then a group that has read nothing is as far
    # behind as the stream is old.
    expr=f"""
(
  {HEADROOM} < %%retentionHeadroomSeconds%%
  and
  {HEADROOM} < {LAG_AGE}
  and
  {HAS_READER}
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
    severity="critical",
    summary="Messages are about to be removed before a consumer group has read them.",
    description=f"""
{WHO} will lose messages in {{{{ $value | humanizeDuration }}}} if nothing changes: they are trimmed or expire before it
gets to them. First: `rlb streams --sort age`; more consumers, or a longer retention, buy time.""",
    dashboard="rlb-streams",
    variables=OF_GROUP,
)

NO_CONSUMERS = Alert(
    name="RLBGroupHasNoConsumers",
    # "stopped" is the monitor's word for entries that wait while no consumer calls. The number of active consumers
    # alone would not do: where Redis does not tell of consumers, it is 0 as well. "losing" outranks "stopped": then it
    # is for the consumers to say, and they may seem to wait for a while after they died.
    expr=f"""
{LAG} > 0
and
(
{indented(_streams("stopped"))}
  or
  (
{indented(indented(_streams("losing")))}
    unless
    max by ({GROUP}) ({_CONSUMERS_IDLE}) > 0
  )
)
unless
(
{indented(_READS)}
)""",
    for_="5m",
    keep_firing_for="15m",
    severity="warning",
    summary="A consumer group has undelivered messages and no consumer.",
    description=f"""
{WHO} has {{{{ $value | humanize }}}} undelivered messages, and no consumer has called Redis lately: they have crashed,
were scaled to nothing, or nobody needs the group any more (then delete it). First: look whether its pods run.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

PENDING_STUCK = Alert(
    name="RLBPendingStuck",
    # Not the age of the oldest pending message: a group that is an hour behind works on messages an hour old.
    expr=f"max by ({GROUP}) ({told('rlb_group_pending_idle_seconds')}) > %%pendingIdleSeconds%%",
    for_="10m",
    severity="warning",
    summary="Messages were delivered, and nobody has acknowledged them or taken them over.",
    description=f"""
{WHO} holds messages that were last delivered {{{{ $value | humanizeDuration }}}} ago and are still not acknowledged:
their consumer hangs or has gone, and no other one claims what it left. First: `rlb groups`, then
`rlb pending` on the worst stream, which names the consumer.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

POISON = Alert(
    name="RLBPoisonMessages",
    expr=f"max by ({GROUP}) ({told('rlb_group_poison')}) > %%poisonMessages%%",
    for_="10m",
    severity="warning",
    summary="Messages fail each time that they are delivered.",
    description=f"""
{WHO} has {{{{ $value | humanize }}}} pending messages that were delivered as often as is allowed and never
acknowledged: consumers crash on them or refuse them. First: `rlb pending` on the worst stream, then `rlb dlq` to set
them aside.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

LAG_UNKNOWN = Alert(
    name="RLBLagUnknown",
    expr=f"max by ({GROUP}) ({_STREAMS_UNKNOWN}) > %%unknownLagStreams%%",
    for_="15m",
    severity="warning",
    summary="The lag of a consumer group cannot be told.",
    description="""
On {{ $value | humanize }} streams nobody can tell how far group {{ $labels.group }} on model
{{ $labels.model }} is behind, so no other alert about its lag can see them. First: `rlb info` on such a stream
(`rlb streams --status unknown`).""",
    dashboard="rlb-groups",
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
    severity="info",
    summary="Most of what a stream can hold is undelivered.",
    description=f"""
{WHO} has not read {{{{ $value | humanizePercentage }}}} of what its worst stream keeps before it is trimmed: one pause
more, and messages are lost. First: `rlb streams --sort lag`; a larger stream.max_length gives room.""",
    dashboard="rlb-streams",
    variables=OF_GROUP,
)

_LOST = increase_since_birth("rlb_group_lost_total", seen_by="rlb_poll_last_success_timestamp_seconds")
_DROPPED = increase_since_birth("rlb_write_dropped_total", seen_by="rlb_build_info")

MESSAGES_LOST = Alert(
    name="RLBMessagesLost",
    # Lost on the way to a group: polled, so the greatest of what several tell. Lost on the way to Redis: each
    # sidecar's own, so the sum; while Redis is away RLBRedisDown says so, and this what it has cost, afterwards.
    expr=f"""
max by ({GROUP}) (
  (
{indented(indented(_LOST))}
  )
  unless on ({TARGET}) {OBSERVED}
) > %%lostMessages%%
and
{HAS_READER}
or
sum by (namespace, reason) (
  (
{indented(indented(_DROPPED))}
  )
  unless on ({TARGET}) {REDIS_AWAY}
) > %%lostMessages%%""",
    for_="",
    severity="critical",
    summary="Messages were lost.",
    description="""
About {{ $value | printf "%.0f" }} messages
{{ if $labels.reason }}that apps had handed over could not be written to Redis ({{ $labels.reason }}); the apps were
told. First: `rlb health`{{ else }}were trimmed before group {{ $labels.group }} on model {{ $labels.model }} had read
them. First: `rlb groups`{{ end }}, and see whether it goes on.""",
    dashboard="rlb-streams",
    variables=OF_GROUP,
)

ALERTS = (
    MESSAGES_LOST,
    STALLED,
    LAGGING,
    LAG_GROWING,
    RETENTION_AT_RISK,
    NO_CONSUMERS,
    PENDING_STUCK,
    POISON,
    LAG_UNKNOWN,
    NEAR_CAPACITY,
)
