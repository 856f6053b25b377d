"""docs/rlb-top.md is true: its tables are the app's own, its options exist, its picture is the screen."""

from __future__ import annotations

import re

import pytest

from rlb_top.arguments import parse
from tests.top.screenshot import PICTURE, picture
from tests.top_tables import PAGE, with_tables


def test_tables_are_current() -> None:
    """The part between the marks is what the app says of itself (`make docs` writes it)."""
    assert with_tables(PAGE.read_text()) == PAGE.read_text()


def test_options_named_in_the_text_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], version="0")
    told = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    named = set(re.findall(r"--[a-z-]+[a-z]", re.sub(r"<!--|-->|\|[-|]+", "", PAGE.read_text())))
    assert len(named) > 8
    assert named <= told


async def test_the_picture_is_current() -> None:
    """Byte for byte (`make screenshot` draws it)."""
    drawn = await picture()
    assert "losing" in drawn
    assert drawn == PICTURE.read_text()
