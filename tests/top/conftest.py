"""How time passes for the app in tests: it is waited for until it has done everything."""

from __future__ import annotations

import pytest
import textual.app
import textual.pilot
from textual.app import App
from textual.widgets import Input

from tests.top.idling import wait_for_idle


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still makes no difference to what is shown, nor to which clicks belong together."""
    monkeypatch.setattr(textual.app, "wait_for_idle", wait_for_idle)
    monkeypatch.setattr(textual.pilot, "wait_for_idle", wait_for_idle)
    monkeypatch.setattr(App, "CLICK_CHAIN_TIME_THRESHOLD", 600.0)
    monkeypatch.setattr(Input.cursor_blink, "_default", False)
