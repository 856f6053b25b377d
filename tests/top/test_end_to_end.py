"""rlb-top in a real terminal, on a running demo: what is on the screen, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from rlb.cli.demo.tally import FAST_GROUP, SLOW_GROUP
from tests.cli.processes import PATIENCE_S, Running, clean_environment
from tests.support.terminal import TMUX, Terminal

RLB_TOP = f"{shlex.quote(sys.executable)} -m rlb_top"


@pytest.mark.skipif(TMUX is None, reason="it needs tmux, which is not installed")
@pytest.mark.timeout(120)
def test_it_shows_a_demo_and_gives_the_terminal_back(short_tmp: Path) -> None:
    socket = short_tmp / "d"
    environment = clean_environment(TERM="xterm-256color", XDG_STATE_HOME=str(short_tmp / "state"), TMPDIR="/tmp")
    with (
        Running("demo", "--json", "--socket", str(socket), env={"TMPDIR": str(short_tmp)}) as demo,
        Terminal(short_tmp, columns=120, lines=40, environment=environment) as terminal,
    ):
        assert json.loads(demo.read_line())["event"] == "started"
        terminal.run(f"clear; stty -g >{short_tmp}/before")
        terminal.until(lambda screen: (short_tmp / "before").exists() and screen.strip() == "$")
        before = terminal.modes
        terminal.run(f"{RLB_TOP} --socket {socket}; echo ended=$?; stty -g >{short_tmp}/after")

        # A line of each group, with a status, as soon as the monitor has polled; and where this comes from.
        groups = re.compile(rf"(ok|lagging|stalled|stopped|losing|unknown) +({FAST_GROUP}|{SLOW_GROUP}) ")
        screen = terminal.until(lambda screen: {found[1] for found in groups.findall(screen)} >= {SLOW_GROUP})
        assert str(socket) in screen
        assert terminal.modes["alternate"] == "1"

        terminal.press("?")
        screen = terminal.until(lambda screen: "Keys here" in screen)
        assert "Filter" in screen
        terminal.press("Escape")
        terminal.until(lambda screen: "Keys here" not in screen)

        # A filter is typed, and narrows the table down.
        terminal.press("/")
        terminal.until(lambda screen: "status:losing" in screen)
        terminal.type(f"group:{SLOW_GROUP}")
        terminal.until(lambda screen: f"group:{SLOW_GROUP}" in screen)
        terminal.until(lambda screen: {found[1] for found in groups.findall(screen)} == {SLOW_GROUP})
        terminal.press("Escape")
        terminal.until(lambda screen: f"group:{SLOW_GROUP}" not in screen)

        terminal.press("q")
        screen = terminal.until(lambda screen: re.search(r"^ended=\d+\n\$", screen, re.MULTILINE) is not None)
        assert "ended=0" in screen
        # The shell's own screen is back, with nothing of ours on it.
        assert SLOW_GROUP not in screen
        assert terminal.modes == before
        assert (short_tmp / "after").read_text() == (short_tmp / "before").read_text()


def test_what_cannot_be_reached_is_told_before_the_screen_is_taken_over() -> None:
    """All that comes out on the terminal is one line that says why, and what to try."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, "-m", "rlb_top", "--socket", "/nowhere"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean_environment(TERM="xterm-256color"),
        start_new_session=True,
    )
    try:
        assert process.wait(PATIENCE_S) == 69
        assert termios.tcgetattr(theirs) == before
        # Everything is in the pty's buffer: one line is far less than that holds.
        said = os.read(ours, 65536).decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
    assert "\x1b" not in said
    assert said.count("\n") == 1
    assert said.startswith("rlb-top: unreachable: no sidecar answers at /nowhere: No such file or directory; ")
    assert "`rlb run`" in said
    assert "--redis" in said
