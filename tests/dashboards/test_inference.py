"""What cannot be right in an expression is found, and what is right is let through."""

from __future__ import annotations

import pytest

from tests.dashboards.contract import judge
from tests.dashboards.inference import alternatives
from tests.dashboards.vocabulary import Series, Vocabulary

VOCABULARY = Vocabulary({"namespace:slow:ratio": Series({"namespace": None}, "gauge")})
T = "rlb_ingest_tokens_total"
AGE = "rlb_message_age_seconds"

RIGHT = {
    f"sum by (namespace, model) (rate({T}[5m]))": {"namespace", "model"},
    f"sum without (pod, instance, job, container) (rate({T}[5m]))": {"namespace", "model"},
    f"histogram_quantile(0.9, sum by (le, group) (rate({AGE}_bucket[5m])))": {"group"},
    f'sum(rate({AGE}_bucket{{le=~"1(\\\\.0)?"}}[5m])) / sum(rate({AGE}_count[5m]))': set(),
    "max by (namespace, model, group) (rlb_group_lag)": {"namespace", "model", "group"},
    "sum by (group) (max by (namespace, model, group) (rlb_group_lag))": {"group"},
    "max by (group) (rlb_group_lag_age_seconds)": {"group"},
    "time() - rlb_poll_last_success_timestamp_seconds": {"namespace", "job", "instance", "pod", "container"},
    "rlb_ingest_queue_length / rlb_ingest_queue_capacity > 0.8": {"namespace", "job", "instance", "pod", "container"},
    'rlb_group_streams{status=~"stalled|stopped"} > 0': {"namespace", "job", "instance", "pod", "container"}
    | {"model", "group", "status"},
    'topk(3, label_replace(up, "node", "$1", "instance", "(.*):.*"))': {"namespace", "job", "instance", "pod"}
    | {"container", "node"},
    "absent(rlb_build_info)": set(),
    "namespace:slow:ratio > 0.1": {"namespace"},
    "up == 0 and on (job, instance) last_over_time(rlb_build_info[1h])": {"namespace", "job", "instance", "pod"}
    | {"container"},
    "up * on (job, instance) group_left (version) rlb_build_info": {"namespace", "job", "instance", "pod"}
    | {"container", "version"},
    f"sum by (model) (rate({T}[5m])) or 0 * sum by (model) (rate({T}[5m]))": {"model"},
    'sum(rate(messaging_client_sent_messages_total{error_type!=""}[5m])) or vector(0)': set(),
}

WRONG = {
    "rlb_no_such_thing": "no metric",
    "rlb_message_age": "no metric",
    AGE: "no metric",
    f"sum by (group) (rate({T}[5m]))": "names the label group",
    f'rate({T}{{group="a"}}[5m])': "has no label group",
    f"sum({T})": "without rate",
    "rate(rlb_ingest_queue_length[5m])": "is no counter",
    f"deriv({T}[5m])": "is a counter",
    'rlb_group_streams{status="stuck"}': "never has status",
    'rlb_group_streams{status=~"stalled|stuck"}': "never has status",
    f'rate({AGE}_bucket{{le="2"}}[5m])': "never has le",
    'rate(messaging_client_consumed_messages_total{messaging_operation_name="XREAD"}[5m])': "never has",
    f"histogram_quantile(0.9, sum by (group) (rate({AGE}_bucket[5m])))": "needs the label le",
    "sum by (model) (rlb_group_lag)": "several instances poll",
    "count(rlb_group_lag)": "several instances poll",
    "sum(max by (model) (rlb_stream_length))": "a Redis of its own",
    f"sum by (model) (rate({T}[5m])) / sum by (namespace) (rate({T}[5m]))": "matches nothing",
    f"sum by (model) (rate({T}[5m])) and sum(rate({T}[5m]))": "matches nothing",
    f"sum by (model) (rate({T}[5m])) / on (group) max by (group) (rlb_group_lag)": "the left side does not have it",
    f"sum by (namespace, model) (rate({T}[5m])) / on (namespace) sum by (namespace) (rate({T}[5m]))": "several series",
    "up * on (job, instance) group_left (colour) rlb_build_info": "takes colour",
    'label_replace(up, "node", "$1", "hostname", "(.*)")': "reads the label hostname",
    '{__name__=~"rlb_.*"}': "names no metric",
    "namespace:slow:ratio2 > 0.1": "no metric",
    "sum(rate(up[5m])": "does not parse",
}


@pytest.mark.parametrize("text", RIGHT)
def test_right(text: str) -> None:
    judged = judge("here", text, VOCABULARY)
    assert judged.problems == []
    assert judged.result.labels == RIGHT[text]


@pytest.mark.parametrize("text", WRONG)
def test_wrong(text: str) -> None:
    assert any(WRONG[text] in problem for problem in judge("here", text, VOCABULARY).problems)


def test_alternatives() -> None:
    assert alternatives("a|b(c|d)|e") == ["a", "b(c|d)", "e"]
    assert alternatives("(a|b)") == ["a", "b"]
    assert alternatives("(a)|(b)") == ["(a)", "(b)"]
