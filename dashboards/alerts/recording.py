"""The recording rules: what several alerts share, and what is too dear to be counted again at every look.

Names are level:metric:operations. `namespace` is in all of them; outside Kubernetes there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dashboards.alerts.burn import SLOW_DELIVERIES, WINDOWS, WRITE_ERRORS
from dashboards.alerts.promql import (
    ACTIVE,
    FIRST_TOKEN,
    GROUP,
    HANDED_OVER,
    HAS_READER,
    HEADROOM,
    LAG,
    LAG_AGE,
    LAG_WORST,
    OBSERVED,
    READ,
    RETENTION_AGE,
    RETENTION_LIMIT,
    TARGET,
    TOKEN_INTERVAL,
    told,
)
from dashboards.alerts.thresholds import FEWEST_GENERATIONS, FEWEST_TOKENS_PER_SECOND

Recording = tuple[str, str]
"""Name and expression."""

MODEL = "namespace, model"

_ACTIVE = told('rlb_group_consumers{state="active"}')

_LAG: tuple[Recording, ...] = (
    (
        OBSERVED,
        f"""
max by ({TARGET}) (
  max_over_time(rlb_monitor_observed[{HANDED_OVER}]) == 1
  and on (lease)
  max_over_time(rlb_monitor_leader[{HANDED_OVER}]) == 1
)""",
    ),
    (LAG, f"max by ({GROUP}) ({told('rlb_group_lag')})"),
    (LAG_WORST, f"max by ({GROUP}) ({told('rlb_group_lag_max')})"),
    (LAG_AGE, f"max by ({GROUP}) ({told('rlb_group_lag_age_seconds')})"),
    (HEADROOM, f"min by ({GROUP}) ({told('rlb_group_retention_headroom_seconds')})"),
    (RETENTION_AGE, f"max by ({MODEL}) ({told('rlb_stream_retention_age_seconds')})"),
    (RETENTION_LIMIT, f"min by ({MODEL}) ({told('rlb_stream_retention_limit')})"),
    (ACTIVE, f"max by ({GROUP}) ({_ACTIVE})"),
    (READ, f"max by ({GROUP}) ({told('increase(rlb_group_entries_read_total[2m])')})"),
    (
        HAS_READER,
        f"""
max by ({GROUP}) ({told("rlb_group_consumers")}) > 0
or
max by ({GROUP}) ({told("increase(rlb_group_entries_read_total[1d])")}) > 0""",
    ),
    # A group's lag on all models together: what to scale its consumers by.
    ("namespace_group:rlb_group_lag:max", f"sum by (namespace, group) ({LAG})"),
)

_RATES: tuple[Recording, ...] = (
    ("namespace_model:rlb_ingest_tokens:rate1m", "sum by (namespace, model) (rate(rlb_ingest_tokens_total[1m]))"),
    # Without tokens there is no quantile of them; else it would be NaN.
    (
        TOKEN_INTERVAL,
        f"""
histogram_quantile(0.99, sum by (namespace, model, le) (rate(rlb_token_interval_seconds_bucket[5m])))
and on (namespace, model)
sum by (namespace, model) (rate(rlb_token_interval_seconds_count[5m])) >= {FEWEST_TOKENS_PER_SECOND}""",
    ),
    (
        FIRST_TOKEN,
        f"""
max by (namespace, model) (
  label_replace(
    histogram_quantile(
      0.95,
      sum by (namespace, gen_ai_request_model, le) (rate(gen_ai_server_time_to_first_token_seconds_bucket[10m]))
    )
    and on (namespace, gen_ai_request_model)
    sum by (namespace, gen_ai_request_model) (increase(gen_ai_server_time_to_first_token_seconds_count[10m]))
      >= {FEWEST_GENERATIONS},
    "model", "$1", "gen_ai_request_model", "(.*)"
  )
)""",
    ),
)


def _write_errors(window: str) -> Recording:
    """Failed writes by all writes: 0 without errors, nothing without writes."""
    sent = "messaging_client_sent_messages_total"
    return (
        WRITE_ERRORS + window,
        f"""
(
  sum by (namespace) (rate({sent}{{error_type!=""}}[{window}]))
  or
  0 * sum by (namespace) (rate({sent}[{window}]))
)
/
(sum by (namespace) (rate({sent}[{window}])) > 0)""",
    )


def _slow_deliveries(window: str) -> Recording:
    """Deliveries of messages above a certain age by all deliveries of a group: nothing without deliveries.

    By group, so that whoever is called knows which. About `other`, many in one, nobody could do anything. The bound of
    a bucket is written 1.0 by rlb, and 1 by a collector or a newer Prometheus.
    """
    age, groups = "rlb_message_age_seconds", 'group!~"other|%%batchGroups%%"'
    return (
        SLOW_DELIVERIES + window,
        f"""
1 -
sum by (namespace, group) (rate({age}_bucket{{le=~"%%deliverySeconds%%([.]0)?", {groups}}}[{window}]))
/
(sum by (namespace, group) (rate({age}_count{{{groups}}}[{window}])) > 0)""",
    )


RECORDINGS: Mapping[str, Sequence[Recording]] = MappingProxyType(
    {
        "rlb-lag": _LAG,
        "rlb-rates": _RATES,
        "rlb-write-errors": tuple(_write_errors(window) for window in WINDOWS),
        "rlb-slow-deliveries": tuple(_slow_deliveries(window) for window in WINDOWS),
    }
)
"""By group of rules; the rules of one are evaluated one after the other."""
