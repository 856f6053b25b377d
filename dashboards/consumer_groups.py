"""rlb / Consumer groups: who is behind, will they catch up, and what do they leave unfinished."""

from __future__ import annotations

from dashboards.grafana.assemble import Row, assemble
from dashboards.grafana.sdk import models
from dashboards.parts import catching_up, group_tiles, lag, objectives, pending, tiles


def dashboard() -> models.Dashboard:
    """What the overview's lag leads to."""
    return assemble(
        "rlb-groups",
        "rlb / Consumer groups",
        "Which group is behind on which model, will it catch up, and does it finish what it is handed?",
        (
            Row(
                "",
                (
                    tiles.lag_age(),
                    group_tiles.undelivered(),
                    tiles.headroom(),
                    group_tiles.not_ok(),
                    group_tiles.pending_idle(),
                    group_tiles.lag_unknown(),
                ),
            ),
            Row("Who is behind?", (lag.lag_age(), catching_up.by_group(), lag.undelivered(12), lag.headroom(12))),
            Row(
                "Will they catch up?",
                (catching_up.rates(), catching_up.surplus(), catching_up.time_to_catch_up()),
            ),
            Row("What is wrong with them?", (catching_up.status(), catching_up.quality())),
            Row(
                "Do they finish what they are handed?",
                (
                    pending.pending(),
                    pending.pending_age(),
                    pending.poison(),
                    pending.acknowledged(),
                    pending.ack_quantile(),
                    pending.ack_times(),
                    pending.set_aside(),
                ),
            ),
            Row("Do messages arrive in time?", (pending.age_by_group(), objectives.delivery_ages())),
            Row(
                "Who reads?",
                (pending.readers(), pending.removed(), pending.top_readers(), pending.top_streams()),
                folded=True,
            ),
        ),
        mark_alerts=True,
    )
