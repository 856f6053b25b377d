"""What stands in the Dockerfile, and what a builder is sent for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rlb import __version__
from rlb.settings import Settings
from rlb.telemetry.self_metrics import REVISION_VARIABLE
from tests.support.build_context import sent, tracked
from tests.support.dockerfile import Copy, Run, read_dockerfile
from tests.support.image import DOCKERFILE, REPOSITORY, REVISION, read_stages

HOST = re.compile(r"^[^/]*[.:][^/]*/")
"""What an image's name begins with if it names a registry's host."""


def test_the_base_image_has_no_host_and_can_be_another() -> None:
    bases = {stage.base for stage in read_stages()}
    assert len(bases) == 1
    assert not HOST.match(bases.pop())
    others = read_dockerfile(DOCKERFILE, {"PYTHON_IMAGE": "mirror/python@sha256:00"})
    assert {stage.base for stage in others} == {"mirror/python@sha256:00"}


def test_it_is_started_as_nobody_in_particular_and_says_what_it_is() -> None:
    last = read_stages()[-1]
    assert last.user == "65532:65532"
    assert (last.entrypoint, last.command, last.stop_signal) == (["rlb"], ["run"], "SIGTERM")
    assert last.labels["org.opencontainers.image.version"] == __version__
    assert last.labels["org.opencontainers.image.revision"] == REVISION
    assert last.environment[REVISION_VARIABLE] == REVISION
    assert last.ports == [str(Settings().metrics.port)]


def test_the_last_stage_runs_nothing() -> None:
    """So that it can stand on an image without a shell."""
    assert not [step for step in read_stages()[-1].steps if isinstance(step, Run)]


def test_packages_come_by_hash_and_the_wheel_from_the_builder() -> None:
    lines = [step.line for stage in read_stages() for step in stage.steps if isinstance(step, Run)]
    installs = [part for line in lines for part in line.split("&&") if " install " in part]
    assert len(installs) == 3
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or "--no-index" in install


def test_a_builder_is_sent_what_is_copied_and_no_more() -> None:
    """Not an environment, a cache or a secret that lies about, and no test."""
    ignore = REPOSITORY / ".dockerignore"
    context = sent(tracked(REPOSITORY), ignore)
    copied = [source for stage in read_stages() for step in stage.steps if isinstance(step, Copy) and not step.stage
              for source in step.sources]  # fmt: skip
    assert {path for path in context if not any(path == c or path.startswith(f"{c}/") for c in copied)} == set()
    assert {c for c in copied if not any(path == c or path.startswith(f"{c}/") for path in context)} == set()
    stray = [".env", ".git/config", ".venv/bin/python", "sidecar/rlb/__pycache__/errors.cpython-313.pyc", "tests/a.py",
             "tui/rlb_top/a.pyc", "requirements/dev.txt", "helm/rlb/values.yaml"]  # fmt: skip
    assert sent(stray, ignore) == []


@pytest.mark.parametrize(
    ("pattern", "path", "is_sent"),
    [
        ("a", "a/b", False),
        ("a", "ab", True),
        ("*.py", "a/b.py", True),
        ("**/*.py", "a/b.py", False),
        ("**/*.py", "b.py", False),
        ("a/**", "a/b/c", False),
        ("*\n!a/b", "a/b/c", True),
        ("*\n!a/b", "a/c", False),
        ("!a\n*", "a", False),
        ("# *", "a", True),
        ("?.py[co]", "a.pyo", False),
    ],
)
def test_the_rules_of_an_ignore_file(pattern: str, path: str, is_sent: bool, tmp_path: Path) -> None:
    ignore = tmp_path / ".dockerignore"
    ignore.write_text(pattern)
    assert sent([path], ignore) == ([path] if is_sent else [])


@pytest.mark.parametrize("line", ["ADD a b", "COPY --link a b", "VOLUME /a", "SHELL []", "RUN --mount=type=cache a"])
def test_what_is_not_known_of_the_language_is_not_passed_over(line: str, tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(f"FROM a\n{line}\n")
    with pytest.raises(ValueError, match="known"):
        read_dockerfile(path)
