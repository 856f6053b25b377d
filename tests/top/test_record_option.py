"""`rlb-top --record` in a real terminal: what it shows is written down, and can be replayed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from rlb_top.sources.recording_file import RecordingFile
from tests.cli.processes import PATIENCE_S, clean_environment
from tests.servers.process import RedisServer


def test_what_is_shown_is_recorded_until_it_is_left(valkey: RedisServer, tmp_path: Path) -> None:
    valkey.command("XADD", "orders:eu", "*", "a", "1")
    path = tmp_path / "r.jsonl"
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "rlb_top", "--redis", valkey.url, "--interval", "0.2", "--record", str(path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean_environment(TERM="xterm-256color", XDG_STATE_HOME=str(tmp_path)),
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    end_s = time.monotonic() + PATIENCE_S
    try:
        while process.poll() is None and time.monotonic() < end_s:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    seen += os.read(ours, 65536)
                except OSError:  # the other end of the terminal is closed
                    break
            if path.exists() and path.read_bytes().count(b"\n") > 4 and b"orders:eu" in seen:
                os.write(ours, b"q")
        assert process.wait(PATIENCE_S) == 0, seen[-2000:]
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    file = RecordingFile(path)
    assert len(file.times_s) >= 4
    assert file.times_s[0] == 0
    assert file.source == valkey.url
    assert [each.key for each in file.frame(3).streams] == ["orders:eu"]
    file.close()
