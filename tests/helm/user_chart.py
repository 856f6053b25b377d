"""The chart of a user, as the chart's README writes it: the code blocks there are the files here."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.helm import CHART

BLOCK = re.compile(r"^```yaml\n# (chat/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> Mapping[str, str]:
    """The text of each file by its path in the chart."""
    found = BLOCK.findall((CHART / "README.md").read_text(encoding="utf-8"))
    return {path.removeprefix("chat/"): text for path, text in found}


@contextlib.contextmanager
def user_chart(*, with_dependency: bool = True) -> Iterator[Path]:
    """A folder with the chart, and with ours among its dependencies, unless that is for the caller to arrange."""
    with tempfile.TemporaryDirectory(prefix="rlb-chart-") as folder:
        chart = Path(folder, "chat")
        for path, text in files().items():
            (chart / path).parent.mkdir(parents=True, exist_ok=True)
            (chart / path).write_text(text, encoding="utf-8")
        if with_dependency:
            shutil.copytree(CHART, chart / "charts" / "rlb", ignore=shutil.ignore_patterns("rendered", "ci"))
        yield chart
