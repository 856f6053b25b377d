"""PromQL from names of the catalogue.

Each selector keeps to what the dashboard's variables choose. What several instances poll of the same streams is the
greatest of what they tell; what each counts of its own is a sum.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dashboards.grafana.names import How, Known, check_labels, known

WINDOW = "$__rate_interval"

_CHOSEN = {
    "model": frozenset({"model", "gen_ai_request_model", "model_name"}),
    "group": frozenset({"group", "messaging_consumer_group_name"}),
}
"""The labels that a variable of models or groups applies to; a metric has at most one of each."""
_MATCHER = re.compile(r'(=|!=|=~|!~)"([^"]*)"')

_WORST = "rlb_top_"
"""Told only by those that are set to, which the observer may not be: each series is one stream's or reader's anyway."""

By = str | tuple[str, ...]


def selector(name: str, where: Mapping[str, str] | None = None, *, part: str = "", wide: bool = False) -> str:
    """The series of a metric that the variables choose.

    `where` has further matchers by label, such as `{"reason": '="queue_full"'}`. `part` is `_bucket`, `_sum` or
    `_count`. `wide`: whatever job and instance, for metrics of other programs and of rules.

    Raises:
        LookupError: no such metric, label or value.
        ValueError: a matcher is none.
    """
    metric, where = known(name), where or {}
    check_labels(metric, where)
    matchers = ['namespace=~"$namespace"']
    if not wide:
        matchers += ['job=~"$job"', 'instance=~"$instance"']
    for variable, labels in _CHOSEN.items():
        matchers += [f'{label}=~"${variable}"' for label in labels & metric.labels.keys() if metric.narrowed]
    for label, matcher in where.items():
        _check_matcher(metric, label, matcher)
        matchers.append(f"{label}{matcher}")
    return f"{metric.name}{part}{{{', '.join(matchers)}}}"


def _check_matcher(metric: Known, label: str, matcher: str) -> None:
    found = _MATCHER.fullmatch(matcher)
    if found is None:
        raise ValueError(f"{matcher!r} is no matcher of a label")
    allowed = metric.labels.get(label)
    for value in found[2].split("|") if "~" in found[1] else [found[2]]:
        if allowed is not None and value and "$" not in value and value not in allowed:
            raise LookupError(f"{metric.name} has no {label}={value!r}, only {', '.join(allowed)}")


def labels_of(by: By) -> tuple[str, ...]:
    """The labels of a `by` argument; a single one may stand alone."""
    return (by,) if isinstance(by, str) else by


def together(how: str, inner: str, by: By = ()) -> str:
    """An aggregation: `sum by (model) (…)`."""
    names = labels_of(by)
    return f"{how} by ({', '.join(names)}) ({inner})" if names else f"{how}({inner})"


def _once(metric: Known, inner: str, by: By, how: How | None) -> str:
    """What instances tell, by some labels: of each polled thing once."""
    names, how = labels_of(by), how or metric.how
    check_labels(metric, names)
    if metric.polled and not metric.name.startswith(_WORST):
        inner = told(inner)
    if not metric.polled or how != "sum" or set(names) & {"instance", "pod"}:
        return together(how, inner, names)  # the greatest or smallest of all needs no care: nothing is added up
    each = ("namespace", *metric.labels)  # a namespace may have a Redis of its own
    per_thing = together("max", inner, each)
    return per_thing if set(names) == set(each) else together("sum", per_thing, names)


def told(polled: str) -> str:
    """What is polled, by the observer alone where one leads: it sees all streams, and has room for all their names.

    Sidecars know whether one does, in whatever namespace, and by which lease. They are left out if that very observer
    is among what the variables choose, else there would be nothing to show. That is so for a moment longer than it is
    told, as in the rules: sums would leap where another observer takes over.
    """
    observed, leads = (f"max_over_time({selector(f'rlb.monitor.{name}')}[2m]) == 1" for name in ("observed", "leader"))
    return f"{polled} unless on (namespace, job, instance) ({observed} and on (lease) {leads})"


def level(name: str, by: By = (), where: Mapping[str, str] | None = None, *, how: How | None = None) -> str:
    """What a gauge says now."""
    return _once(known(name), selector(name, where), by, how)


def rate(name: str, by: By = (), where: Mapping[str, str] | None = None) -> str:
    """By how much a counter rises each second."""
    return _once(known(name), f"rate({selector(name, where)}[{WINDOW}])", by, None)


def count_rate(name: str, by: By = (), where: Mapping[str, str] | None = None) -> str:
    """How many observations a histogram takes each second."""
    return _once(known(name), f"rate({selector(name, where, part='_count')}[{WINDOW}])", by, None)


def rise(name: str, window: str, by: By = (), where: Mapping[str, str] | None = None, *, part: str = "") -> str:
    """By how much a counter rose in a window that is not the panel's, such as `1h` or `$__range`."""
    return _once(known(name), f"increase({selector(name, where, part=part)}[{window}])", by, None)


def quantile(q: float, name: str, by: By = (), where: Mapping[str, str] | None = None, *, wide: bool = False) -> str:
    """A quantile of a histogram; nothing, not NaN, while there is nothing to observe."""
    check_labels(known(name), labels_of(by))
    inner = f"rate({selector(name, where, part='_bucket', wide=wide)}[{WINDOW}])"
    return f"histogram_quantile({q:g}, {together('sum', inner, ('le', *labels_of(by)))}) >= 0"


def mean(name: str, by: By = (), where: Mapping[str, str] | None = None) -> str:
    """The mean of a histogram's observations; nothing while there are none."""
    total = _once(known(name), f"rate({selector(name, where, part='_sum')}[{WINDOW}])", by, None)
    return f"{total} / ({count_rate(name, by, where)} > 0)"


def buckets(name: str, by: By = (), where: Mapping[str, str] | None = None) -> str:
    """The observations of each bucket, for a heatmap."""
    inner = f"increase({selector(name, where, part='_bucket')}[{WINDOW}])"
    return together("sum", inner, ("le", *labels_of(by)))


def ratio(part: str, whole: str) -> str:
    """A share: 0 where there is a whole and no part, nothing where there is no whole."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def share_within(name: str, bound: str, window: str = WINDOW, by: By = ()) -> str:
    """The share of observations at or below a bound, which must be a bucket's.

    Servers write whole bounds as `1` or as `1.0`; both are matched.
    """
    within = rise(name, window, by, {"le": f'=~"{bound}([.]0)?"'}, part="_bucket")
    return f"{within} / ({rise(name, window, by, part='_count')} > 0)"


def top(expression: str, most: int = 10) -> str:
    """The greatest few, so that a legend stays short."""
    return f"topk({most}, {expression})"


def ours(expression: str) -> str:
    """Only the instances of rlb among what other programs have too; of those that lately were, if they are down."""
    alive = f"last_over_time({selector('rlb.build.info')}[1h])"
    return f"{expression} and on (job, instance) {alive}"


def renamed(expression: str, label: str, to: str) -> str:
    """The same with a label under another name, so that tables can join on it."""
    return f'label_replace({expression}, "{to}", "$1", "{label}", "(.*)")'
