"""rlb / Overview: is it working, and where to look if not."""

from __future__ import annotations

from dashboards.grafana.assemble import Row, assemble
from dashboards.grafana.sdk import models
from dashboards.grafana.variables import delivery_objective, first_token_objective
from dashboards.parts import errors, lag, objectives, process, summary, tiles, traffic


def dashboard() -> models.Dashboard:
    """The first dashboard to open."""
    return assemble(
        "rlb-overview",
        "rlb / Overview",
        "Is the bridge working, do tokens arrive in time, is anyone behind or losing data?",
        (
            Row(
                "",
                (
                    tiles.sidecars(),
                    tiles.unreachable(),
                    tiles.tokens(),
                    tiles.active(),
                    tiles.write_errors(),
                    tiles.lost(),
                    tiles.lag_age(),
                    tiles.headroom(),
                    tiles.delivery(),
                    tiles.first_token(),
                    tiles.interval(),
                    tiles.queue(),
                ),
            ),
            Row("Which alerts fire?", (summary.alerts(),)),
            Row(
                "Is traffic flowing?",
                (traffic.in_and_out(), traffic.by_model(), traffic.finished()),
            ),
            Row(
                "Are objectives met?",
                (
                    objectives.attained(),
                    objectives.burn_rate(),
                    objectives.delivery_quantiles(),
                    objectives.delivery_ages(),
                    objectives.token_times(),
                ),
            ),
            Row("Who is behind?", (lag.lag_age(8), lag.undelivered(8), lag.headroom(8))),
            Row("Which model?", (summary.by_model(),)),
            Row(
                "Is anything refused, failing or lost?",
                (errors.refused(), errors.failing(), errors.losing()),
            ),
            Row(
                "What is full or slow?",
                (
                    process.queue(),
                    process.event_loop(),
                    process.cpu(),
                    process.memory(),
                ),
                folded=True,
            ),
        ),
        (delivery_objective(), first_token_objective()),
        mark_alerts=True,
    )
