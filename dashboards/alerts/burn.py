"""Error budgets of 30 days, and at which speed of burning them somebody is told.

Of each pair of windows the long one says that it matters, the short one that it still goes on, so that the alert ends
soon after the errors do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboards.alerts.alert import Alert, Severity
from dashboards.alerts.promql import TARGET
from dashboards.alerts.thresholds import AWAY_RATIO, FEWEST_FAILED_WRITES, FEWEST_SLOW_DELIVERIES


@dataclass(frozen=True, slots=True)
class Speed:
    """Burning `factor` times as fast as the budget lasts for, seen over both windows."""

    factor: float
    long: str
    short: str
    for_: str
    severity: Severity


SPEEDS = (
    Speed(14.4, "1h", "5m", "2m", "critical"),
    Speed(6, "6h", "30m", "15m", "critical"),
    Speed(3, "1d", "2h", "1h", "warning"),
    Speed(1, "3d", "6h", "3h", "warning"),
)
"""2 % of the budget in an hour, 5 % in six hours, 10 % in a day, 10 % in three days."""

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

WRITE_ERRORS = "namespace:rlb_write_errors:ratio_rate"
SLOW_DELIVERIES = "namespace_group:rlb_delivery_slow:ratio_rate"


def _without_redis(speed: Speed) -> str:
    """Who was called for RLBRedisDown is not called again for what followed from it; the ticket comes all the same.

    Many of the sidecars have to have been without Redis: one of a hundred explains nothing.
    """
    if speed.severity != "critical":
        return ""
    return f"""
unless on (namespace)
avg by (namespace) (
  min_over_time(rlb_redis_up[{speed.short}])
  and on ({TARGET})
  rlb_ingest_queue_capacity
) <= {AWAY_RATIO}"""


def _enough(speed: Speed, ratio: str, by: tuple[str, ...], counter: str, least: int) -> str:
    """A share of very little is no reason to call anybody: this many have to be concerned."""
    if speed.severity != "critical":
        return ""
    labels = ", ".join(by)
    return f"""
and on ({labels})
{ratio}{speed.long} * on ({labels}) sum by ({labels}) (increase({counter}[{speed.long}])) > {least}"""


def _no_backlog(speed: Speed) -> str:
    """Who was called for a group that stood still is not called again when it reads what is old by then."""
    if speed.severity != "critical":
        return ""
    return """
unless on (namespace, group)
last_over_time(ALERTS{alertname="RLBConsumerGroupStalled", alertstate="firing"}[1h])"""


def _not_new(speed: Speed) -> str:
    """A new group begins with all that is there, which is old; it has a budget once it has been read for a while."""
    return f"""
and on (namespace, group)
sum by (namespace, group) (rlb_message_age_seconds_count offset {speed.long}){_no_backlog(speed)}"""


def _times(factor: float) -> str:
    return f"{factor:g} times " if factor != 1 else ""


def _alerts(
    name: str,
    ratio: str,
    budget: str,
    by: tuple[str, ...],
    floor: tuple[str, int],
    besides: Callable[[Speed], str] = lambda _: "",
    *,
    summary: str,
    description: str,
    first: str,
    dashboard: str,
) -> list[Alert]:
    return [
        Alert(
            name=name,
            expr=f"{ratio}{speed.long} > {speed.factor:g} * {budget}\n"
            f"and on ({', '.join(by)})\n"
            f"{ratio}{speed.short} > {speed.factor:g} * {budget}{_without_redis(speed)}"
            f"{_enough(speed, ratio, by, *floor)}{besides(speed)}",
            for_=speed.for_,
            severity=speed.severity,
            summary=summary,
            description=f"{description} {{{{ $value | humanizePercentage }}}} of them over {speed.long}, which is more "
            f"than {_times(speed.factor)}what the budget of 30 days allows. {first}",
            dashboard=dashboard,
            variables=by,
            labels={"long": speed.long, "short": speed.short},
        )
        for speed in SPEEDS
    ]


ALERTS = (
    *_alerts(
        "RLBWriteErrorBudgetBurn",
        WRITE_ERRORS,
        "%%writeErrorBudget%%",
        ("namespace",),
        ("messaging_client_sent_messages_total", FEWEST_FAILED_WRITES),
        summary="Messages from apps are not written to Redis.",
        description="Messages that apps of this namespace send are taken and then fail on their way to Redis:",
        first="First: `rlb health` in a sidecar of the namespace, then the write errors by type on the dashboard.",
        dashboard="rlb-overview",
    ),
    *_alerts(
        "RLBDeliveryLatencyBudgetBurn",
        SLOW_DELIVERIES,
        "%%deliverySlowBudget%%",
        ("namespace", "group"),
        ("rlb_message_age_seconds_count", FEWEST_SLOW_DELIVERIES),
        _not_new,
        summary="Messages reach their consumers too late.",
        description="Messages were older than %%deliverySeconds%% s when group {{ $labels.group }} was handed them:",
        first="First: `rlb groups`, which shows whether it is behind, and where. If it reads in batches, name it in "
        "batchGroups.",
        dashboard="rlb-overview",
    ),
)
