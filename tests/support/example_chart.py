"""The example charts with what they depend on, as `helm dependency update` leaves them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.helm import CHART, REPOSITORY

EXAMPLES = REPOSITORY / "helm" / "examples"


def with_dependency(name: str, work: Path) -> Path:
    """A copy of an example below `work`, with this repository's chart of rlb inside."""
    chart = work / name
    shutil.copytree(EXAMPLES / name, chart)
    shutil.copytree(CHART, chart / "charts" / "rlb")
    return chart
