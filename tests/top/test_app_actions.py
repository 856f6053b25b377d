"""Actions: asked for, confirmed, carried out and told of; and not there where nothing may be changed."""

from __future__ import annotations

from typing import Any

import pytest

from rlb_top.actions import PendingEntry
from rlb_top.screens.confirm import ConfirmScreen
from tests.support.scripted_source import ScriptedActions, ScriptedSource
from tests.top.incidents import losing
from tests.top.running import app_of, text_of, until
from tests.top.test_app_stream import opened, shown

KEY, GROUP = "stream:chat-7f3a:llama-3.1-70b", "billing"
IDS = tuple(f"179000000000{i}-0" for i in range(3))


def acting(error: str | None = None) -> ScriptedActions:
    """Actions on three pending entries."""
    return ScriptedActions(entries=[PendingEntry(each, "billing-1", 200.0, 2) for each in IDS], error=error)


@pytest.mark.parametrize(
    ("keys", "answers", "done", "told"),
    [
        ("a", "y", ("acknowledge", KEY, GROUP, IDS[:1]), "acknowledged 1 entry of billing"),
        ("A", "y", ("acknowledge", KEY, GROUP, IDS), "acknowledged 3 entries of billing"),
        ("m", ["b", "2", "enter", "enter"], ("claim", KEY, GROUP, "b2", IDS[:1]), "b2 has claimed 1 entry"),
        ("B", ["enter", "enter"], ("bury", KEY, GROUP, IDS, "set aside by hand"), "set 3 entries of billing aside"),
        ("t", ["enter", "enter"], ("trim", KEY, 10_000), "removed 200 entries"),
        ("D", ["7", "-", "0", "enter", "enter"], ("replay", GROUP, ("7-0",)), "1 dead letter of billing"),
    ],
    ids=["acknowledge", "acknowledge all", "claim", "set all aside", "trim", "replay"],
)
async def test_an_action_is_carried_out_once_confirmed_and_told(
    keys: str, answers: str | list[str], done: tuple[Any, ...], told: str
) -> None:
    actions = acting()
    async with app_of(ScriptedSource(losing(50), actions=actions)).run_test(size=(120, 45)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: len(screen.pending.rows) == 3)
        await pilot.press("shift+tab", *keys)
        await shown(pilot, ConfirmScreen)
        assert actions.done == []
        await pilot.press(*answers)
        await until(pilot, lambda: actions.done == [done])
        await until(pilot, lambda: told in text_of(screen.status_line))


async def test_a_consumer_is_removed_from_the_table_of_consumers() -> None:
    actions = acting()
    async with app_of(ScriptedSource(losing(50), actions=actions)).run_test(size=(120, 45)) as pilot:
        screen = await opened(pilot)
        await pilot.press("tab", "j", "x")
        await shown(pilot, ConfirmScreen)
        await pilot.press("y")
        await until(pilot, lambda: actions.done == [("remove_consumer", KEY, GROUP, "billing-2")])
        await until(pilot, lambda: "removed billing-2 from billing" in text_of(screen.status_line))


@pytest.mark.parametrize("answers", ["n", ["escape"], ["enter"]], ids=["n", "escape", "enter on no"])
async def test_no_is_the_easier_answer(answers: str | list[str]) -> None:
    actions = acting()
    async with app_of(ScriptedSource(losing(50), actions=actions)).run_test(size=(120, 45)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: len(screen.pending.rows) == 3)
        await pilot.press("shift+tab", "a")
        await shown(pilot, ConfirmScreen)
        await pilot.press(*answers)
        await until(pilot, lambda: "not done" in text_of(screen.status_line))
        assert actions.done == []


@pytest.mark.parametrize(
    ("error", "words"), [("the group is gone", "the group is gone"), (KeyError("billing"), "internal: KeyError")]
)
async def test_a_failure_is_told_and_nothing_breaks(error: str | Exception, words: str) -> None:
    """Not even by a fault of rlb-top: neither of the action, nor of what is looked up behind it."""
    actions = acting()
    async with app_of(ScriptedSource(losing(50), actions=actions)).run_test(size=(120, 45)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: len(screen.pending.rows) == 3)
        await pilot.press("shift+tab", "a")
        await shown(pilot, ConfirmScreen)
        actions.error = error
        await pilot.press("y")
        await until(pilot, lambda: f"✗ Acknowledge: {words}" in text_of(screen.status_line))
        screen.pending.look_again()
        screen.pending.take("billing")
        await until(pilot, lambda: words in text_of(screen.pending))


async def test_what_was_typed_has_to_make_sense() -> None:
    actions = acting()
    async with app_of(ScriptedSource(losing(50), actions=actions)).run_test(size=(120, 45)) as pilot:
        await opened(pilot)
        await pilot.press("t")
        dialog = await shown(pilot, ConfirmScreen)
        dialog.input.value = "some"
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "a number of entries" in text_of(dialog.wrong))
        assert actions.done == []
        # A button that was pressed takes no other press for a fifth of a second.
        await until(pilot, lambda: not dialog.query_one("#yes").has_class("-active"))
        dialog.input.value = "300"
        await pilot.press("enter", "enter")
        await until(pilot, lambda: actions.done == [("trim", KEY, 300)])


@pytest.mark.parametrize("arguments", [{"read_only": True}, {"no_actions": True}], ids=["read-only", "no actions"])
async def test_nothing_can_be_changed_where_nothing_may_be(arguments: dict[str, bool]) -> None:
    actions = acting()
    source = ScriptedSource(losing(50), actions=actions)
    if arguments.pop("no_actions", False):
        source.actions = None
    async with app_of(source, **arguments).run_test(size=(120, 45)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: len(screen.pending.rows) == 3)
        for _ in range(3):
            assert not {"a", "A", "m", "b", "x", "t", "D"} & set(screen.active_bindings)
            await pilot.press("a", "A", "b", "x", "t", "D")
            await pilot.press("tab")
        assert pilot.app.screen is screen
        assert actions.done == []
