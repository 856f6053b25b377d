"""The pictures in docs/dashboards.md: one for each dashboard, none that nobody would wait for."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "dashboards.md"
GENERATED = ROOT / "dashboards" / "generated"
LOCK = ROOT / "dashboards" / "preview" / "package-lock.json"

LARGEST_BYTES = 400_000
PNG = b"\x89PNG\r\n\x1a\n"


def test_each_dashboard_is_shown() -> None:
    shown = re.findall(r"!\[[^]]+\]\(dashboards/([\w-]+)\.png\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.stem for path in GENERATED.glob("*.json"))


def test_pictures_are_there_and_small() -> None:
    for name in (*(path.stem for path in GENERATED.glob("*.json")), "overview-top"):
        picture = PAGE.parent / "dashboards" / f"{name}.png"
        content = picture.read_bytes()
        assert content.startswith(PNG), picture
        assert len(content) <= LARGEST_BYTES, picture


def test_the_lock_names_versions_and_no_places() -> None:
    """What is installed is fixed by version and hash; from where is a matter of the machine."""
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    installed = [package for path, package in packages.items() if path]
    assert installed
    assert all(package["version"] and package["integrity"] for package in installed)
    assert not any("resolved" in package for package in installed)
