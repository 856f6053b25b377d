"""The committed files are what would be written now, whichever process writes them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

from dashboards import build
from tests.dashboards.boards import GENERATED

DIGEST = """
import hashlib
from dashboards.build import artefacts
for path, text in sorted(artefacts().items()):
    print(hashlib.sha256(text.encode()).hexdigest(), path)
"""


def test_nothing_is_stale() -> None:
    assert list(build.stale()) == []


def test_nothing_is_left_over() -> None:
    """Each file among the generated ones is one that is still written."""
    lying = {str(path.relative_to(build.ROOT)) for path in GENERATED.rglob("*") if path.is_file()}
    assert lying <= set(build.artefacts())


def test_another_process_writes_the_same() -> None:
    """With another order of sets, and another time zone and language."""
    here = sorted((path, hashlib.sha256(text.encode()).hexdigest()) for path, text in build.artefacts().items())
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    ran = subprocess.run(
        [sys.executable, "-c", DIGEST],
        cwd=build.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert [f"{digest} {path}" for path, digest in here] == ran.stdout.splitlines()
