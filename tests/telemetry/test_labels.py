"""Caps on labels: bounded, for good, and counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.census import OTHER
from rlb.settings import LimitsSettings
from rlb.telemetry import labels as module
from rlb.telemetry.labels import LabelCap, LabelCaps, clean_label
from rlb.telemetry.registry import Registry

NAMES = st.sampled_from([*"abcdefgh", OTHER])


@given(st.lists(NAMES), st.integers(1, 4))
def test_the_first_come_keep_their_series(values: list[str], limit: int) -> None:
    """A value is itself from its first time on, or `other` from its first time on; so many may be themselves."""
    registry = Registry()
    cap = LabelCap("model", limit, registry)
    shown: dict[str, str] = {}
    for value in values:
        folded = cap.fold(value)
        assert folded in (value, OTHER)
        assert shown.setdefault(value, folded) == folded
    first = list(dict.fromkeys(value for value in values if value != OTHER))
    assert [value for value, folded in shown.items() if folded != OTHER] == first[:limit]
    overflow = registry.counter("rlb.cardinality.overflow", attribute="model").value
    assert overflow == len(first[limit:])


@given(st.lists(st.tuples(NAMES, NAMES), max_size=60))
def test_pairs_are_bounded_too(pairs: list[tuple[str, str]]) -> None:
    """However models and groups combine, there are no more pairs than asked for, and `other` with `other`."""
    caps = LabelCaps(LimitsSettings(models=4, groups=3, series_groups=5), Registry())
    folded = {caps.fold_pair(*pair) for pair in pairs}
    assert len(folded) <= 6
    assert {model for model, _ in folded} <= {*(model for model, _ in pairs), OTHER}


def test_a_histogram_has_no_model_that_counters_fold() -> None:
    """Fewer models have histograms of their own than counters, and they are among those."""
    caps = LabelCaps(LimitsSettings(models=3, models_histograms=2), Registry())
    assert [caps.models.fold(model) for model in "abcd"] == ["a", "b", "c", OTHER]
    assert [caps.fold_histogram_model(model) for model in "dcba"] == [OTHER, "c", "b", OTHER]


def test_refused_values_are_not_all_remembered() -> None:
    """An app that makes up models takes no memory by it."""
    registry = Registry()
    cap = LabelCap("model", 1, registry)
    for number in range(module.MAX_REFUSED * 2 + 5):
        cap.fold(f"m-{number}")
    assert len(cap._refused) <= module.MAX_REFUSED
    assert registry.counter("rlb.cardinality.overflow", attribute="model").value == module.MAX_REFUSED * 2 + 4


@given(st.binary(max_size=400))
def test_any_key_makes_a_label(raw: bytes) -> None:
    """Names from Redis may be any bytes; what comes out is text of bounded length, the same each time."""
    text = raw.decode("utf-8", "surrogateescape")
    label = clean_label(text)
    assert len(label.encode()) <= 4 * (module.MAX_LABEL + 1)
    assert clean_label(text) == label
    if len(text) <= module.MAX_LABEL and text.isprintable():
        assert label == text


def test_the_cap_shows_the_clean_value() -> None:
    """The cap of a label cleans what it lets through."""
    cap = LabelCap("model", 2, Registry())
    assert cap.fold("m\udcff") == cap.fold("m\udcff") == "m�"
    assert len(cap.fold("x" * 5000)) == module.MAX_LABEL + 1
