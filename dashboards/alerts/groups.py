"""Alerts about consumer groups: who is behind, who stands still, and of whom that is not known."""

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
    READ,
    RETENTION_LIMIT,
    indented,
    told,
)
from dashboards.alerts.thresholds import (
    DEAD_SECONDS,
    FEWEST_DELIVERIES,
    HUNG_GROWTH_RATIO,
    HUNG_SECONDS,
    STANDING_READ_RATIO,
    UNFINISHED_SECONDS,
)

OF_GROUP = ("namespace", "model", "group")
WHO = "Group {{ $labels.group }} on model {{ $labels.model }}"
HERE = "in a sidecar on its Redis"
"""Where to run what shows a group: the alert's namespace may be an observer's, which has no socket to be asked by."""


def _streams(status: str) -> str:
    """Groups with streams of that status. Without such streams there is no series, not a 0."""
    selector = f'rlb_group_streams{{status="{status}"}}'
    return f"max by ({GROUP}) ({told(selector)}) > 0"


_STREAMS_UNKNOWN = told('rlb_group_lag_streams{quality="unknown"}')
_PENDING_IDLE = told("rlb_group_pending_idle_seconds")
_STUCK = told('max_over_time(rlb_group_streams{status=~"stalled|stopped"}[2m])')
_CONSUMERS_IDLE = told('rlb_group_consumers{state="idle"}')


_READS = f"{ACTIVE} > 0\nor\n{READ} > 0"
"""Groups that were handed something lately, on any stream. Consumers alone would miss those that were removed since,
the counter alone servers below 7.0, where it does not move."""

_GETS_ON = f"{READ} > {STANDING_READ_RATIO} * ({READ} + clamp_min(deriv({LAG}[2m]) * 120, 0))"
"""Groups that read a part of what comes that is worth the name, though too little perhaps: read or not, it came."""

_DEAD = (
    f"{LAG_AGE} > {DEAD_SECONDS}\n"
    f"unless on (namespace, model)\n"
    f"max by (namespace, model) ({told('increase(rlb_stream_entries_added_total[1h])')}) > 0"
)
"""Groups that were left behind on streams that nobody writes to any more: a matter for the day, not for the night."""

STALLED = Alert(
    name="RLBConsumerGroupStalled",
    # The group as a whole reads nothing; or its consumers call and get nowhere on some stream, and hardly anywhere else
    # (a slow consumer of many streams leaves some of them for a while); or they take messages, acknowledge none, and
    # the lag grows (they are handed the same ones again, so something moves). One stream of many that nobody reads is
    # no stall: as likely, its session is over.
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
  unless
  {_GETS_ON}
)
or
(
  {LAG} > 0
  and
  {LAG_AGE} > {HUNG_SECONDS}
  and
  max by ({GROUP}) ({_PENDING_IDLE}) > {HUNG_SECONDS}
  and
  max by ({GROUP}) ({_STUCK}) > 0
  and
  deriv({LAG}[10m]) * 600 > {HUNG_GROWTH_RATIO} * {LAG}
)""",
    for_="5m",
    keep_firing_for="5m",
    severity="critical",
    summary="A consumer group has undelivered messages and reads nothing.",
    description=f"""
{WHO} has {{{{ $value | humanize }}}} undelivered messages and has stood still for more than 5 minutes: whoever waits
for its output waits in vain, and what it does not read is removed in the end. First: `rlb groups` {HERE}, which says
for each stream whether consumers call ("stalled") or are gone ("stopped"), and what they hold without acknowledging
it.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

_NAMED = 'messaging_consumer_group_name!~"other|%%batchGroups%%"'

MUTE = Alert(
    name="RLBConsumerGroupStalled",
    # Consumers that take what comes and finish nothing: there is no lag, and nothing is pending for long, for it is
    # delivered again and again until it is a dead letter. Who acknowledges past rlb leaves nothing pending; where that
    # is told may be another namespace, an observer's. A group that has just begun has ten minutes as well.
    expr=f"""
sum by (namespace, group) (
  label_replace(
    increase(messaging_client_consumed_messages_total{{{_NAMED}}}[10m]),
    "group", "$1", "messaging_consumer_group_name", "(.*)"
  )
) > {FEWEST_DELIVERIES}
and on (namespace, group)
sum by (namespace, group) (increase(rlb_message_acked_total[10m])) == 0
and on (namespace, group)
sum by (namespace, group) (rlb_message_acked_total offset 10m)
and on (group)
max by (group) (rlb_group_pending_age_seconds) > {UNFINISHED_SECONDS}""",
    for_="1m",
    keep_firing_for="5m",
    severity="critical",
    summary="A consumer group takes messages and acknowledges none.",
    description="""
Group {{ $labels.group }} was handed about {{ $value | printf "%.0f" }} messages in 10 minutes and has acknowledged
none: its consumers hang, or fail on all of them, and after a few deliveries messages become dead letters. First: the
log of the consumers, and restart them; then `rlb dlq list -g {{ $labels.group }}` for what was given up.""",
    dashboard="rlb-groups",
    variables=("namespace", "group"),
    labels={"case": "mute"},
)

_AGE_THAT_COUNTS = f'{LAG_AGE}{{group!~"%%batchGroups%%"}}'
"""Not that of groups that read in batches: it goes up and down, and may be looked at whenever it is up."""

LAGGING = Alert(
    name="RLBConsumerGroupLagging",
    # The second part keeps a firing alert while the age is not known, as long as the group is there: not known is not
    # solved. It never begins one.
    expr=f"""
(
  {_AGE_THAT_COUNTS} > %%lagAgeSeconds%%
  and
  {HAS_READER}
)
or
(
  last_over_time({_AGE_THAT_COUNTS}[15m]) > %%lagAgeSeconds%%
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
{WHO} has not been handed messages that are {{{{ $value | humanizeDuration }}}} old: it reads too slowly, or not
at all. First: `rlb streams --sort lag` {HERE}, to see whether it is one stream or all of them.""",
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
    keep_firing_for="5m",
    severity="warning",
    summary="A consumer group falls further behind, and will lose messages if that goes on.",
    description=f"""
{WHO} falls behind by {{{{ $value | printf "%.1f" }}}} messages a second, and at this rate messages are removed before
it has read them. First: `rlb-top --mode groups --sort headroom`, then give it more consumers or faster ones.""",
    dashboard="rlb-groups",
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
    keep_firing_for="5m",
    severity="warning",
    summary="A consumer group has undelivered messages and no consumer.",
    description=f"""
{WHO} has {{{{ $value | humanize }}}} undelivered messages, and no consumer has called Redis lately: they have crashed,
were scaled to nothing, or nobody needs the group any more (then delete it). First: look whether its pods run.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

LAG_UNKNOWN = Alert(
    name="RLBLagUnknown",
    expr=f"max by ({GROUP}) ({_STREAMS_UNKNOWN}) > %%unknownLagStreams%%",
    for_="15m",
    keep_firing_for="5m",
    severity="warning",
    summary="The lag of a consumer group cannot be told.",
    description=f"""
On {{{{ $value | humanize }}}} streams nobody can tell how far group {{{{ $labels.group }}}} on model
{{{{ $labels.model }}}} is behind, so no other alert about its lag can see them. First: `rlb streams --status unknown`
{HERE}, then `rlb info` on such a stream.""",
    dashboard="rlb-groups",
    variables=OF_GROUP,
)

ALERTS = (STALLED, MUTE, LAGGING, LAG_GROWING, NO_CONSUMERS, LAG_UNKNOWN)
