"""The demo's screen, as text."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from rlb.cli.demo.board import board, verdict_on
from rlb.cli.demo.tally import GroupTally, Picture, Row

ROWS = (
    Row("demo", "meta-llama/Llama-3.1-8B-Instruct", "streaming", 42, 1.0, 2.0, "It begins here and the end is shown"),
    Row("chat-1", "llama3.1:8b", "waiting"),
    Row("chat-2", "mistralai/Mistral-7B-Instruct-v0.3", "stop", 1200, 1.0, 31.0, "All done.\n"),
    Row("chat-3", "Qwen/Qwen2.5-72B-Instruct", "error", 3, 1.0, 2.0, "half \x1b[31mred"),
    Row("chat-4", "llama3.1:8b", "length", 32, 1.0, 2.0, "日本語" * 40),
    Row(),
)
GROUPS = (GroupTally("live-view", 1005, 1004, 1, None), GroupTally("archiver", 396, 395, 1570, 7.3))


def picture(**changes: object) -> Picture:
    whole: dict[str, object] = {
        "elapsed_s": 67.2,
        "rows": ROWS,
        "groups": GROUPS,
        "tokens": 12_991,
        "tokens_per_second": 119.4,
        "finished": {"stop": 8, "error": 3},
        "faults": 0,
        "last_fault": "",
    }
    return Picture(**{**whole, **changes})  # type: ignore[arg-type]


def drawn(shown: Picture, width: int, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(board(shown, width, height), no_wrap=True)
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 99, 100, 160])
def test_the_screen_is_as_wide_as_the_terminal(width: int) -> None:
    """Every line ends at the frame, with wide characters too, and none has what a terminal obeys."""
    lines = drawn(picture(), width)
    assert {cell_len(line) for line in lines} == {width}
    assert len(lines) == len(ROWS) + len(GROUPS) + 7
    assert "\x1b[31m" not in "".join(lines)


def test_the_screen_tells_how_everything_is() -> None:
    """Rate and time in the title, a row for each chat and group, and how generations ended."""
    lines = drawn(picture(), 140)
    screen = "\n".join(lines)
    assert "rlb demo  1:07  119 tokens/s" in lines[0]
    assert "▸  demo" in screen
    assert "meta-llama/Llama-3.1-8B-Instruct" in screen
    assert "It begins here and the end is shown" in screen
    assert "…  chat-1" in screen
    assert "1,200     40  All done." in screen
    assert "half �[31mred" in screen
    assert ["●", "live-view", "1,005", "1,004", "1", "-", "keeps", "up"] in [line.strip("│ ").split() for line in lines]
    assert "1,570          7.3 s  falls behind" in screen
    assert "12,991 tokens, 11 generations ended:  ✓ 8 stop  ✂ 0 length  ✗ 3 error" in screen
    assert "Ctrl-C ends it" in lines[-1]


def test_a_narrow_screen_leaves_room_for_the_words() -> None:
    """Without the model's organisation; of a text the end is shown, where it grows."""
    screen = "\n".join(drawn(picture(), 80))
    assert "meta-llama" not in screen
    assert "the end is shown" in screen
    assert "It begins" not in screen


@pytest.mark.parametrize("height", [17, 24, 50])
def test_a_low_screen_shows_as_many_chats_as_fit(height: int) -> None:
    """Groups and outcome are always there, and how many chats are not."""
    lines = drawn(picture(rows=ROWS[:1] * 60, faults=1, last_fault="Redis is away"), 100, height)
    assert len(lines) == height - 1
    screen = "\n".join(lines)
    assert f"and {60 - (height - 11)} chats more" in screen
    assert "archiver" in screen
    assert "Redis is away" in screen


def test_faults_are_shown() -> None:
    """How many, and what the last one was."""
    assert "2 faults, the last: Redis is away" in "\n".join(drawn(picture(faults=2, last_fault="Redis is away"), 100))


@pytest.mark.parametrize(
    ("behind", "words"), [(None, "starting"), (0, "keeps up"), (100, "keeps up"), (101, "falls behind")]
)
def test_a_group_is_judged_by_what_it_is_behind(behind: int | None, words: str) -> None:
    """A symbol says the same as the color, for who sees none."""
    mark, verdict, _ = verdict_on(GroupTally("g", behind=behind))
    assert verdict == words
    assert mark == {"starting": "…", "keeps up": "●", "falls behind": "▲"}[words]
