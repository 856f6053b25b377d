"""What is remembered between two runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlb_top.preferences import Preferences, load_preferences, preferences_path, save_preferences
from rlb_top.view import Sort


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    chosen = (
        Preferences(mode="streams", theme="rlb-light", interval_s=3.0)
        .with_sort("groups", Sort("lost", is_reversed=True))
        .with_columns("streams", ("status", "lag"))
    )
    assert save_preferences(chosen, path) is None
    assert load_preferences(path) == (chosen, None)
    assert [each.name for each in path.parent.iterdir()] == ["state.json"]


def test_nothing_saved_is_nothing_said(tmp_path: Path) -> None:
    assert load_preferences(tmp_path / "none.json") == (Preferences(), None)
    assert Preferences().sort_of("groups") == Sort("status")
    assert Preferences().columns_of("groups") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"mode": "upside-down"}', '{"interval_s": -1}', "\0" * 70_000])
def test_a_broken_file_is_ignored_with_a_note(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    preferences, note = load_preferences(path)
    assert preferences == Preferences()
    assert note is not None
    assert str(path) in note


def test_what_another_version_knew_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(
        json.dumps(
            {
                "mode": "models",
                "sorts": {"groups": {"column": "gone"}, "models": {"column": "lag"}},
                "columns": {"groups": ["status", "gone"]},
                "colour": "blue",
            }
        )
    )
    preferences, note = load_preferences(path)
    assert note is None
    assert preferences.sorts == {"models": Sort("lag")}
    assert preferences.columns_of("groups") == ("status",)


def test_columns_can_be_given_up(tmp_path: Path) -> None:
    chosen = Preferences().with_columns("groups", ("lag",)).with_columns("groups", None)
    assert chosen == Preferences()


def test_a_folder_that_cannot_be_written_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    note = save_preferences(Preferences(), tmp_path / "file" / "state.json")
    assert note is not None
    assert "cannot be written" in note


def test_where_it_is_kept() -> None:
    assert preferences_path({"XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/rlb-top/state.json")
    assert preferences_path({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/rlb-top/state.json")
