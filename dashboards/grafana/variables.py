"""What a dashboard can be narrowed to. The order is the same everywhere."""

from __future__ import annotations

from dashboards.grafana.sdk import dashboard, models
from dashboards.grafana.targets import SOURCE

QueryVariable = dashboard.QueryVariable
Variable = dashboard.QueryVariable | dashboard.DatasourceVariable | dashboard.CustomVariable

OBJECTIVE_BOUNDS = ("0.25", "0.5", "1", "2.5", "5", "10")
"""Bounds, in seconds, that are buckets both of `rlb.message.age` and of the time to the first token."""

_ALL = models.VariableOption(selected=True, text=["All"], value=["$__all"])


def data_source() -> Variable:
    """Which Prometheus."""
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _labels_of(name: str, label: str, label_title: str, series: str, all_value: str = ".+") -> Variable:
    query = f"label_values({series}, {label})"
    return (
        QueryVariable(name)
        .label(label_title)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"{name}-variable"})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(all_value)
        .current(_ALL)
    )


def shared() -> tuple[Variable, ...]:
    """The variables that every dashboard has. Outside Kubernetes there is no namespace, so all of them may be none."""
    build, streams, groups = "rlb_build_info", "rlb_stream_count", "rlb_group_streams"
    of_namespace = 'namespace=~"$namespace"'
    of_job = f'{of_namespace}, job=~"$job"'
    of_instance = f'{of_job}, instance=~"$instance"'
    return (
        data_source(),
        _labels_of("namespace", "namespace", "Namespace", build, ".*"),
        _labels_of("job", "job", "Job", f"{build}{{{of_namespace}}}"),
        _labels_of("instance", "instance", "Instance", f"{build}{{{of_job}}}"),
        _labels_of("model", "model", "Model", f"{streams}{{{of_instance}}}"),
        _labels_of("group", "group", "Group", f'{groups}{{{of_instance}, model=~"$model"}}'),
    )


def bound(name: str, label: str, description: str, value: str) -> Variable:
    """A bound of an objective, in seconds: one of the buckets, as what lies between them is not counted."""
    return (
        dashboard.CustomVariable(name)
        .label(label)
        .description(description)
        .values(",".join(OBJECTIVE_BOUNDS))
        .multi(False)
        .include_all(False)
        .current(models.VariableOption(selected=True, text=value, value=value))
        .options([models.VariableOption(selected=each == value, text=each, value=each) for each in OBJECTIVE_BOUNDS])
    )


def delivery_objective() -> Variable:
    """Within how many seconds a message should be delivered."""
    return bound("delivery_slo", "Delivered within (s)", "Messages older than this when delivered are late.", "1")


def first_token_objective() -> Variable:
    """Within how many seconds a first token should come."""
    return bound("ttft_slo", "First token within (s)", "First tokens that take longer than this are late.", "2.5")
