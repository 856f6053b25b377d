"""What a builder is sent: the files of the repository, less what `.dockerignore` leaves out."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path


def tracked(repository: Path) -> list[str]:
    """Paths of the files that git tracks, or would, from the top of the repository.

    Where there is no git, as in an unpacked sdist, all files that there are.
    """
    if not (repository / ".git").exists():
        return sorted(str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file())
    command = ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode()
    return [path for path in listed.split("\0") if path and (repository / path).is_file()]


def sent(paths: Iterable[str], ignore_file: Path) -> list[str]:
    """Those that are left: the last line that matches a path or a folder above it decides, `!` brings it back."""
    rules = []
    for line in ignore_file.read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            rules.append((not pattern.startswith("!"), _regex(pattern.removeprefix("!").strip("/"))))
    left = []
    for path in paths:
        is_ignored = False
        for ignores, regex in rules:
            if regex.fullmatch(path):
                is_ignored = ignores
        if not is_ignored:
            left.append(path)
    return left


def copy_context(repository: Path, target: Path) -> None:
    """Make the context as a builder of `repository` gets it."""
    for path in sent(tracked(repository), repository / ".dockerignore"):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / path, target / path)


def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern of `.dockerignore`, which also stands for all that is in a folder of that name."""
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.findall(r"\*\*/|\*\*|\*|\?|\[[^]]*\]|[^*?[]+", pattern)
    return re.compile("".join(known.get(p, p if p.startswith("[") else re.escape(p)) for p in parts) + "(?:/.*)?")
