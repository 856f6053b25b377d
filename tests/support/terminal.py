"""A real terminal, as tmux keeps one: what is typed goes in by a pty, and what is on its screen can be read."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

TMUX = shutil.which("tmux")

PATIENCE_S = 30.0
"""Until what a test waits for is on the screen."""

MODES = {"alternate": "alternate_on", "mouse": "mouse_any_flag", "cursor": "cursor_flag", "keypad": "keypad_flag"}
"""What a program switches on a terminal, by tmux's names."""


class Terminal:
    """A terminal of its own, with a shell in it."""

    def __init__(self, folder: Path, *, columns: int, lines: int, environment: Mapping[str, str]) -> None:
        assert TMUX is not None, "tmux is not installed"
        self._tmux = (TMUX, "-u", "-S", str(folder / "tmux"), "-f", "/dev/null")
        self._size = ("-x", str(columns), "-y", str(lines))
        self._environment = dict(environment)

    def __enter__(self) -> Self:
        shell = ("env", "PS1=$ ", "bash", "--norc", "--noprofile")
        self._ask("new-session", "-d", *self._size, *shell)
        self.until(lambda screen: screen.startswith("$"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ask("kill-server")

    def type(self, text: str) -> None:
        """Type this text, as it is."""
        self._ask("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names for them, as `Enter`."""
        self._ask("send-keys", *keys)

    def run(self, command: str) -> None:
        """Type a command and Enter."""
        self.type(command)
        self.press("Enter")

    @property
    def screen(self) -> str:
        """What is on the screen, line by line, without spaces at the ends."""
        return self._ask("capture-pane", "-p")

    @property
    def modes(self) -> dict[str, str]:
        """What is switched on."""
        told = self._ask("display-message", "-p", " ".join(f"#{{{flag}}}" for flag in MODES.values()))
        return dict(zip(MODES, told.split(), strict=True))

    def until(self, holds: Callable[[str], bool]) -> str:
        """The screen as soon as this holds of it."""
        end_s = time.monotonic() + PATIENCE_S
        while not holds(screen := self.screen):
            assert time.monotonic() < end_s, f"it did not come to hold of this screen:\n{screen}"
            time.sleep(0.05)
        return screen

    def _ask(self, *words: str) -> str:
        ran = subprocess.run(
            [*self._tmux, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout
