"""The catalogue is the contract: names that queries use, derived by rule and never changed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rlb.telemetry.catalogue import CATALOGUE, SECTIONS, Metric, prometheus_label
from tests.telemetry.filled import label_sets

NAMES = {
    "rlb.ingest.tokens": "rlb_ingest_tokens_total",
    "rlb.ingest.size": "rlb_ingest_size_bytes_total",
    "rlb.ingest.rejected": "rlb_ingest_rejected_total",
    "rlb.ingest.connections": "rlb_ingest_connections",
    "rlb.ingest.queue.length": "rlb_ingest_queue_length",
    "rlb.ingest.queue.capacity": "rlb_ingest_queue_capacity",
    "rlb.ingest.queue.size": "rlb_ingest_queue_size_bytes",
    "rlb.ingest.queue.size.limit": "rlb_ingest_queue_size_limit_bytes",
    "rlb.ingest.queue.duration": "rlb_ingest_queue_duration_seconds",
    "rlb.sequence.anomalies": "rlb_sequence_anomalies_total",
    "messaging.client.sent.messages": "messaging_client_sent_messages_total",
    "messaging.client.consumed.messages": "messaging_client_consumed_messages_total",
    "messaging.client.operation.duration": "messaging_client_operation_duration_seconds",
    "rlb.write.batch.size": "rlb_write_batch_size",
    "rlb.write.retries": "rlb_write_retries_total",
    "rlb.write.dropped": "rlb_write_dropped_total",
    "rlb.message.age": "rlb_message_age_seconds",
    "rlb.message.ack.duration": "rlb_message_ack_duration_seconds",
    "rlb.message.acked": "rlb_message_acked_total",
    "rlb.message.redelivered": "rlb_message_redelivered_total",
    "rlb.message.dead_lettered": "rlb_message_dead_lettered_total",
    "rlb.token.interval": "rlb_token_interval_seconds",
    "gen_ai.server.time_to_first_token": "gen_ai_server_time_to_first_token_seconds",
    "gen_ai.server.time_per_output_token": "gen_ai_server_time_per_output_token_seconds",
    "gen_ai.server.request.duration": "gen_ai_server_request_duration_seconds",
    "rlb.generation.active": "rlb_generation_active",
    "rlb.generation.stalled": "rlb_generation_stalled",
    "rlb.generation.completed": "rlb_generation_completed_total",
    "rlb.generation.tokens": "rlb_generation_tokens",
    "rlb.generation.untracked": "rlb_generation_untracked_total",
    "rlb.stream.count": "rlb_stream_count",
    "rlb.stream.length": "rlb_stream_length",
    "rlb.stream.length.max": "rlb_stream_length_max",
    "rlb.stream.memory": "rlb_stream_memory_bytes",
    "rlb.stream.entries_added": "rlb_stream_entries_added_total",
    "rlb.stream.trimmed": "rlb_stream_trimmed_total",
    "rlb.stream.retention.age": "rlb_stream_retention_age_seconds",
    "rlb.stream.retention.limit": "rlb_stream_retention_limit",
    "rlb.stream.ttl.min": "rlb_stream_ttl_min_seconds",
    "rlb.group.lag": "rlb_group_lag",
    "rlb.group.lag.max": "rlb_group_lag_max",
    "rlb.group.lag.age": "rlb_group_lag_age_seconds",
    "rlb.group.lag.streams": "rlb_group_lag_streams",
    "rlb.group.streams": "rlb_group_streams",
    "rlb.group.retention.headroom": "rlb_group_retention_headroom_seconds",
    "rlb.group.entries_read": "rlb_group_entries_read_total",
    "rlb.group.lost": "rlb_group_lost_total",
    "rlb.group.pending": "rlb_group_pending",
    "rlb.group.pending.age": "rlb_group_pending_age_seconds",
    "rlb.group.pending.idle": "rlb_group_pending_idle_seconds",
    "rlb.group.poison": "rlb_group_poison",
    "rlb.group.consumers": "rlb_group_consumers",
    "rlb.top.stream.lag": "rlb_top_stream_lag",
    "rlb.top.consumer.pending": "rlb_top_consumer_pending",
    "rlb.top.consumer.idle": "rlb_top_consumer_idle_seconds",
    "rlb.poll.duration": "rlb_poll_duration_seconds",
    "rlb.poll.errors": "rlb_poll_errors_total",
    "rlb.poll.last_success.timestamp": "rlb_poll_last_success_timestamp_seconds",
    "rlb.poll.streams.skipped": "rlb_poll_streams_skipped_total",
    "rlb.monitor.leader": "rlb_monitor_leader",
    "rlb.monitor.observed": "rlb_monitor_observed",
    "rlb.probe.duration": "rlb_probe_duration_seconds",
    "rlb.probe.attempts": "rlb_probe_attempts_total",
    "rlb.consumers.removed": "rlb_consumers_removed_total",
    "rlb.redis.up": "rlb_redis_up",
    "rlb.redis.clock.skew": "rlb_redis_clock_skew_seconds",
    "db.client.connection.count": "db_client_connection_count",
    "rlb.build.info": "rlb_build_info",
    "rlb.config.info": "rlb_config_info",
    "rlb.eventloop.lag": "rlb_eventloop_lag_seconds",
    "rlb.cardinality.overflow": "rlb_cardinality_overflow_total",
    "rlb.otlp.exports": "rlb_otlp_exports_total",
}
"""What queries, dashboards and alerts rely on: add, do not rename."""

ADVISED_BUCKETS = {
    "messaging.client.operation.duration": (
        *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    ),
    "gen_ai.server.time_to_first_token": (
        *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    ),
    "gen_ai.server.time_per_output_token": (*(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5),),
    "gen_ai.server.request.duration": (
        *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    ),
}
"""What the semantic conventions advise (v1.44.0)."""

METRICS = pytest.mark.parametrize("metric", CATALOGUE.values(), ids=CATALOGUE.keys())


def test_contract_holds() -> None:
    """No name that somebody may query has gone or changed."""
    assert {name: CATALOGUE[name].prometheus_name for name in NAMES if name in CATALOGUE} == NAMES


@METRICS
def test_prometheus_name_is_the_image_of_the_name(metric: Metric) -> None:
    """The name, its unit and, for a counter, `_total`: what any OpenTelemetry to Prometheus bridge makes of it."""
    suffix = {"s": "_seconds", "By": "_bytes"}.get(metric.unit, "")
    total = "_total" if metric.kind == "counter" else ""
    assert metric.prometheus_name == metric.name.replace(".", "_") + suffix + total
    assert metric.prometheus_labels == tuple(name.replace(".", "_") for name in metric.attributes)


@METRICS
def test_a_row_is_sound(metric: Metric) -> None:
    """Unit, help and attributes say what they have to, once."""
    assert re.fullmatch(r"s|By|1|\{[a-z]+\}", metric.unit)
    assert re.fullmatch(r"[A-Z1].*\.", metric.help)
    assert len(set(metric.prometheus_labels)) == len(metric.attributes)
    assert not set(metric.prometheus_labels) & {"le", "job", "instance", "quantile"}
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", name) for name in (metric.name, *metric.attributes))


@METRICS
def test_only_histograms_have_buckets(metric: Metric) -> None:
    """They rise, and the infinite one is left to be understood."""
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert all(0 < bound < 1e6 for bound in metric.buckets)


@pytest.mark.parametrize("name", ADVISED_BUCKETS)
def test_advised_buckets_are_there(name: str) -> None:
    """A query made for another server's series of this name finds its bounds here."""
    assert set(ADVISED_BUCKETS[name]) <= set(CATALOGUE[name].buckets)


@METRICS
def test_a_value_has_no_more_series_than_it_pays_for(metric: Metric) -> None:
    """One model and one group with all values of the other labels come to what the catalogue says, or less."""
    sets = {tuple(labels.items()) for labels in label_sets(metric, 1, 1)}
    assert len(sets) * (len(metric.buckets) + 3 if metric.buckets else 1) <= metric.series
    is_by_name = any(name in attribute for name in ("model", "group") for attribute in metric.attributes)
    is_a_list = metric.name.startswith("rlb.top.")  # so long, whatever the groups in it are
    assert (metric.multiplier is not None) == (is_by_name and not is_a_list)


def test_names_differ() -> None:
    """Nothing is listed twice, and no two names have one image."""
    listed = [metric.name for metrics in SECTIONS.values() for metric in metrics]
    assert len(listed) == len(CATALOGUE)
    assert len({metric.prometheus_family for metric in CATALOGUE.values()}) == len(CATALOGUE)


@pytest.mark.parametrize(("attribute", "label"), [("error.type", "error_type"), ("a-b.c", "a_b_c"), ("model", "model")])
def test_label_is_the_image_of_the_attribute(attribute: str, label: str) -> None:
    """What a label's name cannot hold becomes an underscore."""
    assert prometheus_label(attribute) == label


def test_it_stands_alone() -> None:
    """Whoever checks dashboards against the catalogue needs neither exporter, nor a sidecar."""
    script = "import sys, rlb.telemetry.catalogue; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    loaded = {name.split(".")[0] for name in ran.stdout.split()}
    assert loaded.isdisjoint({"opentelemetry", "prometheus_client", "pydantic", "redis", "asyncio"})
