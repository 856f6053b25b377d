"""The generated part of docs/settings.md: `make docs` writes it, a test holds the page against it."""

from __future__ import annotations

from pathlib import Path

from rlb.settings import settings_table

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def with_table(text: str) -> str:
    """The page with its generated part as it is now."""
    head, begin, rest = text.partition("<!-- settings -->\n")
    _, end, tail = rest.partition("<!-- /settings -->")
    return f"{head}{begin}{settings_table().strip()}\n{end}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
