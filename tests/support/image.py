"""Builds the container image without an engine: each step of the Dockerfile, at the paths that stand in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.build_context import copy_context
from tests.support.container import BASE_PATH, EMPTY, SYSTEM, Container
from tests.support.dockerfile import Copy, Run, Stage, read_dockerfile

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "Dockerfile"
REVISION = "0123456789abcdef"

STEP_S = 300.0
"""The longest that one step may take; the packages are downloaded anew."""

_OF_THE_BASE = frozenset((*SYSTEM, *EMPTY))


class NoRegistryError(Exception):
    """The packages could not be downloaded."""


@dataclass(frozen=True, slots=True)
class Image:
    """What was built: the last stage, and the folder with its files."""

    stage: Stage
    root: Path

    def files(self) -> list[str]:
        """Paths of all files that the stages added to the base image, from the root."""
        found: list[Path] = []
        for folder, folders, names in os.walk(self.root):
            here = Path(folder).relative_to(self.root)
            if here == Path():
                folders[:] = [name for name in folders if name not in _OF_THE_BASE]
            found += [here / name for name in names]
        # Links at the top that lead nowhere are there once a container has been started, see there, and no folders.
        return sorted(f"/{path}" for path in found if str(path) not in _OF_THE_BASE)

    @property
    def size_bytes(self) -> int:
        """All files together, a file that is there by several names once for each."""
        return sum((self.root / path.lstrip("/")).lstat().st_size for path in self.files())


def read_stages() -> list[Stage]:
    """The stages of the Dockerfile, with a revision as `--build-arg` gives it."""
    return read_dockerfile(DOCKERFILE, {"BUILD_REVISION": REVISION}, {"PATH": BASE_PATH})


def build(work: Path) -> Image:
    """Execute all steps below `work`, a folder of its own, and keep the last stage.

    Raises:
        NoRegistryError: pip cannot reach a package index.
        AssertionError: a step failed; with what it said.
    """
    context = work / "context"
    context.mkdir()
    copy_context(REPOSITORY, context)
    stages = read_stages()
    roots: dict[str, Path] = {}
    for stage in stages:
        root = roots[stage.name] = work / f"stage-{stage.name}"
        (root / stage.folder.lstrip("/")).mkdir(parents=True)
        for number, step in enumerate(stage.steps):
            if isinstance(step, Copy):
                _copy(step, roots[step.stage] if step.stage is not None else context, root)
            else:
                _run(step, root, work / f"{stage.name}-{number}.log")
    for rest in (context, *(roots[stage.name] for stage in stages[:-1])):
        shutil.rmtree(rest)
    return Image(stages[-1], roots[stages[-1].name])


def _copy(step: Copy, source_root: Path, root: Path) -> None:
    target = root / step.target.lstrip("/")
    uid, gid = map(int, (step.owner or "0:0").split(":"))
    for name in step.sources:
        source = source_root / name.lstrip("/")
        if source.is_dir():
            before = set(target.rglob("*")) if target.exists() else set()
            is_new = not target.exists()
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            copied = [target, *target.rglob("*")] if is_new else [p for p in target.rglob("*") if p not in before]
        else:
            place = target / source.name if step.target.endswith("/") else target
            place.parent.mkdir(parents=True, exist_ok=True)
            copied = [Path(shutil.copy2(source, place))]
        for path in copied:
            os.chown(path, uid, gid, follow_symlinks=False)


def _run(step: Run, root: Path, log_path: Path) -> None:
    environment = {**_of_this_machine(), "HOME": "/root", **step.environment}
    command = ["/bin/sh", "-c", step.line]
    with Container(root, command, environment, log_path, folder=step.folder, read_only=False) as container:
        try:
            code = container.ended(STEP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"RUN {step.line} takes too long:\n{container.log}") from None
    if code != 0 and "NewConnectionError" in container.log:
        raise NoRegistryError(container.log.splitlines()[-1])
    assert code == 0, f"RUN {step.line}:\n{container.log}"


def _of_this_machine() -> Mapping[str, str]:
    """Where packages and certificates are to be had here; a builder has its own ways to tell a step that."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy")
    return {name: os.environ[name] for name in (*names, "PIP_CERT", "PIP_INDEX_URL") if name in os.environ}


def main() -> None:
    """Build it, and say what the stages add to the base image: `python -m tests.support.image` as root."""
    with tempfile.TemporaryDirectory() as folder:
        image = build(Path(folder))
        sizes: Counter[str] = Counter()
        for path in image.files():
            part = "bytecode" if path.startswith("/opt/pycache/") else "packages"
            sizes[part] += (image.root / path.lstrip("/")).lstat().st_size
        for part, size in sizes.most_common():
            print(f"{size / 1e6:6.1f} MB  {part}")
        print(f"{image.size_bytes / 1e6:6.1f} MB  together, {len(image.files())} files")


if __name__ == "__main__":
    main()
