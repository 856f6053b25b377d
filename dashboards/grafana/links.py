"""Links from one dashboard to another that carry what was chosen."""

from __future__ import annotations

_CARRIED = ("datasource", "namespace", "job", "instance", "model", "group")


def drill_down(uid: str, **chosen: str) -> str:
    """The address of a dashboard with the present variables and times, and some variables as given.

    Values may be what Grafana fills in, such as `${__field.labels.model}` on a line and `${__value.text}` in a table.
    """
    carried = [f"${{{name}:queryparam}}" for name in _CARRIED if name not in chosen]
    given = [f"var-{name}={value}" for name, value in chosen.items()]
    return f"/d/{uid}?{'&'.join([*carried, *given, '${__url_time_range}'])}"


LINE_GROUP = "${__field.labels.group}"
LINE_MODEL = "${__field.labels.model}"
CELL = "${__value.text}"


def cell(title: str) -> str:
    """The value of another column in the same row."""
    return f'${{__data.fields["{title}"]}}'
