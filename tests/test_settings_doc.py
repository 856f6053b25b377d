"""docs/settings.md lists the settings as they are."""

from __future__ import annotations

from tests.settings_table import PAGE, with_table


def test_the_table_is_current() -> None:
    """The table between the marks is what the settings say of themselves (`make docs` writes it)."""
    assert with_table(PAGE.read_text()) == PAGE.read_text()
