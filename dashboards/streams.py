"""rlb / Streams and retention: is anyone losing data, and what is kept for how long."""

from __future__ import annotations

from dashboards.grafana.assemble import Row, assemble
from dashboards.grafana.sdk import models
from dashboards.parts import lag, retention, storage, stream_tiles, tiles


def dashboard() -> models.Dashboard:
    """What Redis holds, and what it is about to drop."""
    return assemble(
        "rlb-streams",
        "rlb / Streams and retention",
        "Is anyone losing data, how long are messages kept, and what do they cost?",
        (
            Row(
                "",
                (
                    tiles.lost(),
                    tiles.headroom(),
                    stream_tiles.fullest(),
                    stream_tiles.streams(),
                    stream_tiles.stored(),
                    stream_tiles.stream_memory(),
                ),
            ),
            Row("Is anyone losing data?", (retention.lost(), lag.headroom(8), retention.expiry())),
            Row("Is it kept for long enough?", (retention.kept_and_needed(), retention.margin())),
            Row(
                "How much is kept?",
                (
                    storage.streams(),
                    storage.messages(),
                    storage.memory(),
                    storage.fill(),
                    storage.per_stream(),
                    storage.per_message(),
                ),
            ),
            Row("How fast does it turn over?", (storage.turnover(), storage.churn())),
            Row("Which settings apply?", (storage.settings(),), folded=True),
        ),
    )
