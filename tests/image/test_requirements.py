"""The image's packages are the locked ones of development, less what only development needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
REQUIREMENTS = REPOSITORY / "requirements"

PINNED = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; (.*?))? \\$", flags=re.MULTILINE)


def pinned(name: str) -> dict[str, str]:
    """The version of each package in a file of requirements."""
    return {found[1]: found[2] for found in PINNED.finditer((REQUIREMENTS / name).read_text())}


def names(requirements: list[object]) -> set[str]:
    """The packages that a list in pyproject.toml names."""
    plain = [each for each in requirements if isinstance(each, str)]
    found = [re.match(r"[A-Za-z0-9.-]+", each) for each in plain]
    return {each[0].lower() for each in found if each is not None}


@pytest.fixture(scope="module")
def project() -> dict[str, dict[str, object]]:
    document: dict[str, dict[str, object]] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    return document


@pytest.mark.parametrize("name", ["image.txt", "build.txt", "run.txt"])
def test_each_package_has_the_version_that_the_tests_ran_with(name: str) -> None:
    assert pinned(name).items() <= pinned("dev.txt").items()


@pytest.mark.parametrize("name", ["image.txt", "build.txt"])
def test_there_are_pinned_packages_their_hashes_and_no_address(name: str) -> None:
    """What pip takes is known by its hash, wherever it comes from."""
    text = (REQUIREMENTS / name).read_text()
    rest = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in rest:
        assert PINNED.match(line) or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    assert "://" not in text
    # pip takes a package without a hash for one that is not wanted, and says so only while it installs.
    assert re.findall(r"== *\S+.* \\\n(?!    --hash)", text) == []


def test_the_image_has_all_that_the_project_needs_and_no_extra(project: dict[str, dict[str, object]]) -> None:
    needed, extras = project["project"]["dependencies"], project["project"]["optional-dependencies"]
    assert isinstance(needed, list)
    assert isinstance(extras, dict)
    assert names(needed) <= pinned("image.txt").keys()
    for extra in extras.values():
        assert names(extra).isdisjoint(pinned("image.txt"))


def test_only_the_build_stage_has_the_back_end(project: dict[str, dict[str, object]]) -> None:
    back_end = names(project["dependency-groups"]["build"])  # type: ignore[arg-type]
    assert back_end <= pinned("build.txt").keys()
    assert pinned("build.txt").keys().isdisjoint(pinned("image.txt"))
