"""What values.yaml says of each value: its path, its default, and the text behind `# --` above it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.helm import CHART

VALUES = CHART / "values.yaml"
MARK = "# --"


@dataclass(frozen=True, slots=True)
class Value:
    """A value, or a mapping of values; `text` is empty where nothing is said, or only by a mapping above."""

    path: tuple[str, ...]
    default: Any
    text: str

    @property
    def name(self) -> str:
        """The path as one writes it for `--set`."""
        return ".".join(self.path)


def all_values(file: Path = VALUES) -> list[Value]:
    """Every mapping and every value in it, in the order of the file."""
    text = file.read_text(encoding="utf-8")
    return list(_walk(yaml.compose(text, yaml.SafeLoader), text.splitlines(), ()))


def leaves(file: Path = VALUES) -> list[Value]:
    """The values that have none below them."""
    return [value for value in all_values(file) if not isinstance(value.default, dict) or not value.default]


def _walk(node: yaml.Node | None, lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, inner in node.value:
        here = (*path, str(key.value))
        yield Value(here, _constructed(inner), _comment_above(lines, key.start_mark.line))
        yield from _walk(inner, lines, here)


def _constructed(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


def _comment_above(lines: list[str], line: int) -> str:
    comment: list[str] = []
    for text in reversed(lines[:line]):
        stripped = text.strip()
        if not stripped.startswith("#"):
            return ""
        if stripped.startswith(MARK):
            return " ".join([stripped.removeprefix(MARK).strip(), *comment])
        comment.insert(0, stripped.lstrip("# "))
    return ""
