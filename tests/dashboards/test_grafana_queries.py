"""PromQL from names of the catalogue: what is refused, and how series come together."""

from __future__ import annotations

import pytest

from dashboards.grafana.names import CATALOGUE, FAMILIES, KNOWN, UNUSED, known
from dashboards.grafana.queries import level, ours, quantile, rate, ratio, rise, selector, share_within, told, top

CHOSEN = 'namespace=~"$namespace", job=~"$job", instance=~"$instance"'


def test_a_selector_keeps_to_what_is_chosen() -> None:
    assert selector("rlb.redis.up") == f"rlb_redis_up{{{CHOSEN}}}"
    assert selector("rlb.ingest.tokens") == f'rlb_ingest_tokens_total{{{CHOSEN}, model=~"$model"}}'


def test_models_and_groups_are_chosen_by_whatever_label_names_them() -> None:
    text = selector("messaging.client.consumed.messages")
    assert 'gen_ai_request_model=~"$model"' in text
    assert 'messaging_consumer_group_name=~"$group"' in text


def test_alerts_are_not_narrowed_to_models_as_some_have_none() -> None:
    assert "$model" not in selector("ALERTS", wide=True)


@pytest.mark.parametrize("name", ["rlb.nothing", "rlb_redis_up", "vllm:nothing"])
def test_an_unknown_metric_is_refused(name: str) -> None:
    with pytest.raises(LookupError, match="neither in the catalogue"):
        selector(name)


@pytest.mark.parametrize("by", ["grup", ("model", "session"), "le"])
def test_an_unknown_label_is_refused(by: str | tuple[str, ...]) -> None:
    with pytest.raises(LookupError, match="has no label"):
        level("rlb.group.lag", by)


def test_a_label_of_the_target_is_known() -> None:
    assert level("rlb.redis.up", ("namespace", "pod"), how="min").startswith("min by (namespace, pod)")


def test_a_value_that_a_label_never_has_is_refused() -> None:
    with pytest.raises(LookupError, match="has no status='behind'"):
        level("rlb.group.streams", where={"status": '=~"ok|behind"'})


def test_a_matcher_without_quotes_is_refused() -> None:
    with pytest.raises(ValueError, match="no matcher"):
        selector("rlb.ingest.rejected", {"reason": "=queue_full"})


def test_what_instances_count_is_added_up() -> None:
    assert rate("rlb.ingest.tokens", "model").startswith("sum by (model) (rate(rlb_ingest_tokens_total{")


def test_what_instances_poll_counts_once_in_each_namespace() -> None:
    assert level("rlb.group.lag", "group").startswith(
        "sum by (group) (max by (namespace, model, group) (rlb_group_lag{"
    )
    assert rate("rlb.stream.trimmed").startswith("sum(max by (namespace, model) (rate(rlb_stream_trimmed_total{")


def test_sidecars_are_not_asked_what_an_observer_polls() -> None:
    observed, leader = selector("rlb.monitor.observed"), selector("rlb.monitor.leader")
    ever = "max_over_time({}[2m]) == 1".format
    assert told("x") == f"x unless on (namespace, job, instance) ({ever(observed)} and on (lease) {ever(leader)})"
    assert "rlb_monitor_leader" in rate("rlb.stream.trimmed")
    assert "rlb_monitor_leader" not in rate("rlb.ingest.tokens")


def test_a_row_for_each_namespace_needs_no_sum() -> None:
    assert level("rlb.group.lag", ("namespace", "model", "group")).startswith("max by (namespace, model, group)")


@pytest.mark.parametrize(
    ("name", "how"),
    [("rlb.group.lag.age", "max"), ("rlb.group.retention.headroom", "min"), ("rlb.stream.ttl.min", "min")],
)
def test_ages_are_the_worst_and_not_a_sum(name: str, how: str) -> None:
    assert level(name).startswith(f"{how}(")


def test_a_quantile_of_nothing_is_nothing() -> None:
    assert quantile(0.95, "rlb.message.age", "group").startswith("histogram_quantile(0.95, sum by (le, group) (rate(")
    assert quantile(0.95, "rlb.message.age").endswith(" >= 0")


def test_a_ratio_is_0_of_something_and_nothing_of_nothing() -> None:
    assert ratio("a", "b") == "(a or 0 * b) / (b > 0)"


def test_a_bound_is_matched_as_1_and_as_1_0() -> None:
    assert 'le=~"1([.]0)?"' in share_within("rlb.message.age", "1")


def test_windows_of_their_own_are_increases() -> None:
    assert rise("rlb.group.lost", "24h").startswith("sum(max by (namespace, model, group) (increase(")


def test_what_other_programs_have_too_is_kept_to_rlb() -> None:
    assert ours("up").startswith("up and on (job, instance) last_over_time(rlb_build_info{")


def test_a_legend_is_bounded() -> None:
    assert top("x") == "topk(10, x)"


def test_all_of_the_catalogue_is_known_by_its_prometheus_name() -> None:
    assert {known(name).name for name in CATALOGUE} <= set(FAMILIES)
    assert len(FAMILIES) == len(KNOWN)


def test_what_is_left_out_has_a_reason() -> None:
    assert UNUSED.keys() <= CATALOGUE.keys()
    assert all(reason.endswith(".") for reason in UNUSED.values())
