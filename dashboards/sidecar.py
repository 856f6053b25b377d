"""rlb / Sidecar internals: do sidecars have what they need, and what are they busy with."""

from __future__ import annotations

from dashboards.grafana.assemble import Row, assemble
from dashboards.grafana.sdk import models
from dashboards.parts import errors, ingest, instances, polls, process, redis, storage, telemetry, tiles


def dashboard() -> models.Dashboard:
    """For those who run rlb."""
    return assemble(
        "rlb-sidecar",
        "rlb / Sidecar internals",
        "Which sidecar is ill: its apps, its queue, its Redis, its polls, its process, its telemetry?",
        (
            Row(
                "",
                (
                    tiles.sidecars(),
                    tiles.unreachable(),
                    ingest.connections_now(),
                    tiles.queue(),
                    polls.oldest_now(),
                    telemetry.series_now(),
                ),
            ),
            Row("Which one?", (instances.instances(),)),
            Row(
                "Do apps get through?",
                (
                    process.queue(8),
                    ingest.queue_time(),
                    errors.refused(),
                    ingest.connections(),
                    ingest.batches(),
                    ingest.accepted_bytes(),
                ),
            ),
            Row(
                "Does Redis keep up?",
                (
                    redis.commands(),
                    redis.writes(),
                    redis.rates(),
                    redis.retries(),
                    redis.connections(),
                    redis.clock(),
                ),
            ),
            Row(
                "Are polled numbers fresh?",
                (polls.age(), polls.duration(), polls.incomplete(), polls.probes()),
            ),
            Row(
                "Does the process have what it needs?",
                (
                    process.event_loop(),
                    process.cpu(),
                    process.memory(),
                    telemetry.collections(),
                ),
                folded=True,
            ),
            Row(
                "Do numbers get out, and what runs?",
                (
                    telemetry.samples(),
                    telemetry.scrapes(),
                    telemetry.folded(),
                    telemetry.exports(),
                    telemetry.versions(),
                    storage.settings(12),
                ),
                folded=True,
            ),
        ),
    )
