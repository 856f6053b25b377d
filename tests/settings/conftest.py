"""A file of settings, for tests with many examples."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path for a file of settings, which each example writes anew."""
    return tmp_path_factory.mktemp("settings") / "rlb.yaml"
