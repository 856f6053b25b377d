"""docs/metrics.md is true: its tables are generated from the catalogue."""

from __future__ import annotations

import re

from rlb.telemetry.catalogue import CATALOGUE
from tests.metrics_tables import PAGE, with_tables


def test_tables_are_current() -> None:
    """The part between the marks is what the catalogue says (`make docs` writes it)."""
    assert with_tables(PAGE.read_text()) == PAGE.read_text()


def test_metrics_named_in_the_text_exist() -> None:
    """Whatever the prose tells to query is there."""
    prose = PAGE.read_text().partition("<!-- metrics -->")[0]
    named = set(re.findall(r"`(rlb_[a-z_]+)", prose))
    assert len(named) > 5
    assert named <= {metric.prometheus_name for metric in CATALOGUE.values()}
