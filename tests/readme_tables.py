"""The generated parts of the README: `make docs` writes them, a test holds the README against them."""

from __future__ import annotations

from pathlib import Path

from rlb.settings import settings_table

README = Path(__file__).parent.parent / "README.md"


def with_tables(text: str) -> str:
    """The README with its generated parts as they are now."""
    head, begin, rest = text.partition("<!-- settings -->\n")
    _, end, tail = rest.partition("<!-- /settings -->")
    return f"{head}{begin}{settings_table().strip()}\n{end}{tail}"


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
