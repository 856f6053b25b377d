"""Writes the dashboards and rules, and the chart's copies of them: `python -m dashboards.build`.

With `--check` nothing is written; the exit code is 1 if a file is not what it would be.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def artefacts() -> Mapping[str, str]:
    """The text of every generated file, by its path from the top of the repository."""
    from dashboards import alerts, grafana, runbooks

    return {**runbooks.artefacts(), **grafana.artefacts(), **alerts.artefacts()}


def stale() -> Mapping[str, str]:
    """What would be written now: the text of each file that is not so already, by its path."""
    return {path: text for path, text in artefacts().items() if not _is(ROOT / path, text)}


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def main() -> int:
    """Write what is stale, or only tell of it."""
    found = stale()
    if "--check" in sys.argv[1:]:
        print("\n".join(f"{path} is stale: run `make dashboards`" for path in found))
        return 1 if found else 0
    for path, text in found.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
