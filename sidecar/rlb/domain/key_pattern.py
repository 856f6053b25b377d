"""Patterns of stream keys: which are watched, and which part of a key is fit for a label.

A pattern is a glob (`orders:*`) or a template (`orders:{region}:*`): `*` is any text, `{name}` is any text without a
colon, or with colons if it ends the pattern. A template's `{model}`, else its first name, is the label; all keys of a
glob share the pattern itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlb.domain.census import OTHER

_PIECE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}|\*|\?|\[[^\]]*\]|[^*?\[{]+|.")

MAX_LABEL = 256
"""Characters of a label; a longer one is `other`."""


@dataclass(frozen=True)
class KeyPattern:
    """One pattern: `glob` for SCAN MATCH, and what a matching key's label is."""

    text: str
    glob: str
    expression: re.Pattern[str]
    label: str | None
    """The name of the placeholder that is the label; None: the pattern's own text is."""

    def match(self, key: str) -> str | None:
        """The label of a key; None if the pattern does not match it."""
        found = self.expression.fullmatch(key)
        if found is None:
            return None
        label = found[self.label] if self.label is not None else self.text
        return label if label.isprintable() and 0 < len(label) <= MAX_LABEL else OTHER


def parse_pattern(text: str) -> KeyPattern:
    """Read a pattern; every text is one."""
    glob, expression, names = "", "", list[str]()
    pieces = list(_PIECE.finditer(text))
    for piece in pieces:
        name = piece[1]
        if name is None:
            glob += piece[0]
            expression += _glob_as_expression(piece[0])
            continue
        glob += "*"
        inner = ".+" if piece.end() == len(text) else "[^:]+"
        expression += f"(?P<{name}>{inner})" if name not in names else inner
        names.append(name)
    label = "model" if "model" in names else names[0] if names else None
    return KeyPattern(text, glob, re.compile(expression, re.DOTALL), label)


def _glob_as_expression(piece: str) -> str:
    if piece == "*":
        return ".*"
    if piece == "?":
        return "."
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
        inner = piece[1:-1].replace("\\", r"\\")
        return f"[{inner}]"
    return re.escape(piece)
