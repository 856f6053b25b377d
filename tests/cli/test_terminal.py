"""What a person sees in a terminal, by a pseudo-terminal: text that cannot take the terminal over, and questions."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from pathlib import Path

from tests.cli.conftest import Sidecar
from tests.cli.processes import COMMAND, PATIENCE_S, clean_environment


def in_terminal(sidecar: Sidecar, *arguments: str, typed: str = "", until: str = "") -> tuple[int, str]:
    """Exit code and screen of a command in a terminal; `typed` is entered when `until` has been shown."""
    ours, theirs = pty.openpty()
    environment = clean_environment(RLB_SOCKET__PATH=str(sidecar.socket))
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        screen, end_s = b"", time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < end_s:
                if not select.select([ours], [], [], 0.1)[0]:
                    continue
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # Linux says EIO when the other side is closed
                    break
                if not piece:
                    break
                screen += piece
                if typed and until.encode() in screen:
                    os.write(ours, typed.encode())
                    typed = ""
            code = process.wait(20)
        finally:
            process.kill()
            os.close(ours)
    return code, screen.decode().replace("\r\n", "\n")


def test_a_model_cannot_take_the_terminal_over(sidecar: Sidecar, session: str) -> None:
    """Escape sequences in tokens are made harmless on a terminal, which gets a line end; a pipe gets the text."""
    text = "a\x1b]0;title\x07b"
    stream = ("-s", session, "-m", "m")
    sidecar.rlb("produce", *stream, stdin=text).good()
    assert in_terminal(sidecar, "tail", *stream) == (0, "a�]0;title�b\n")
    assert sidecar.rlb("tail", *stream).good().out == text


def test_a_terminal_is_asked_before_something_is_deleted(sidecar: Sidecar, session: str) -> None:
    """No is no, with exit code 1; yes is done."""
    stream = ("-s", session, "-m", "m")
    sidecar.rlb("produce", *stream, stdin="a").good()
    code, screen = in_terminal(sidecar, "delete", *stream, typed="n\n", until="[y/N]")
    assert (code, screen.splitlines()[-1]) == (1, "rlb: given up")
    assert sidecar.rlb("info", *stream).code == 0
    code, screen = in_terminal(sidecar, "delete", *stream, typed="y\n", until="[y/N]")
    assert (code, screen.splitlines()[-1]) == (0, "deleted")
    assert sidecar.rlb("info", *stream).code == 1


def test_a_typed_answer_is_produced(sidecar: Sidecar, session: str) -> None:
    """Whoever types is told how to end, and Ctrl-D does."""
    stream = ("-s", session, "-m", "m")
    code, screen = in_terminal(sidecar, "produce", *stream, typed="hello you\n\x04", until="Ctrl-D")
    assert code == 0
    assert "rlb: type the answer, and end it with Ctrl-D" in screen
    assert sidecar.rlb("tail", *stream).good().out == "hello you\n"


def test_json_in_a_terminal_is_for_reading(sidecar: Sidecar, session: str) -> None:
    """Indented, and otherwise the same."""
    sidecar.rlb("produce", "-s", session, "-m", "m", stdin="a").good()
    _, screen = in_terminal(sidecar, "info", "-s", session, "-m", "m", "--json")
    assert screen.startswith('{\n  "sessionId": ')


def test_the_demo_draws_a_screen(short_tmp: Path, sidecar: Sidecar) -> None:
    """A panel with chats and both groups, drawn again and again below what to try next."""
    arguments = ("demo", "--duration", "3", "--socket", str(short_tmp / "d"))
    code, screen = in_terminal(sidecar, *arguments)
    assert code == 0
    assert screen.count("Ctrl-C ends it") > 2
    assert f"tail -s demo -m meta-llama/Llama-3.1-8B-Instruct --follow --socket {short_tmp}/d" in screen
    assert "live-view" in screen
    assert "keeps up" in screen
