"""rlb / Overview: is it working, and where to look if not."""

from __future__ import annotations

from dashboards import lag_panels, overview_details, overview_tiles, traffic_panels
from dashboards.grafana.assemble import Row, assemble
from dashboards.grafana.sdk import models
from dashboards.grafana.variables import delivery_objective, first_token_objective


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
                    overview_tiles.sidecars(),
                    overview_tiles.unreachable(),
                    overview_tiles.tokens(),
                    overview_tiles.active(),
                    overview_tiles.write_errors(),
                    overview_tiles.lost(),
                    overview_tiles.lag_age(),
                    overview_tiles.headroom(),
                    overview_tiles.delivery(),
                    overview_tiles.first_token(),
                    overview_tiles.interval(),
                    overview_tiles.queue(),
                ),
            ),
            Row(
                "Is traffic flowing?",
                (traffic_panels.in_and_out(), traffic_panels.by_model(), traffic_panels.finished()),
            ),
            Row(
                "Are objectives met?",
                (
                    overview_details.attained(),
                    overview_details.burn_rate(),
                    overview_details.delivery_quantiles(),
                    overview_details.delivery_ages(),
                    overview_details.token_times(),
                ),
            ),
            Row("Who is behind?", (lag_panels.lag_age(8), lag_panels.undelivered(8), lag_panels.headroom(8))),
            Row(
                "Is anything refused, failing or lost?",
                (overview_details.refused(), overview_details.failing(), overview_details.losing()),
            ),
            Row("Which model?", (overview_details.by_model(),)),
            Row("Which alerts fire?", (overview_details.alerts(),)),
            Row(
                "What is full or slow?",
                (
                    overview_details.queue(),
                    overview_details.event_loop(),
                    overview_details.cpu(),
                    overview_details.memory(),
                ),
                folded=True,
            ),
        ),
        (delivery_objective(), first_token_objective()),
    )
