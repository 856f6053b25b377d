"""The README is true: its examples run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.process import RedisServer

README = Path(__file__).parent.parent / "README.md"


def section(title: str) -> str:
    """The text below a heading."""
    return re.split(rf"^## {title}$", README.read_text(), maxsplit=1, flags=re.MULTILINE)[1].split("\n## ", 1)[0]


def blocks(title: str, language: str) -> list[str]:
    """The fenced examples of a section."""
    return re.findall(rf"```{language}\n(.*?)```", section(title), flags=re.DOTALL)


@pytest.mark.timeout(120)
def test_examples_run(valkey: RedisServer, short_tmp: Path) -> None:
    """The examples over the socket, of what is known then, and from Python, on a sidecar of their own."""
    socket = short_tmp / "rlb.sock"
    environ = os.environ | {"RLB_SOCKET__PATH": str(socket), "RLB_MONITOR__INTERVAL_SECONDS": "0.2"}
    command = [sys.executable, "-m", "rlb.cli", "run", "--redis-url", valkey.url, "--metrics-port", "0"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as sidecar:
        try:
            ready = "until rlb health >/dev/null 2>&1; do sleep 0.05; done"
            path = f"{Path(sys.executable).parent}:{environ['PATH']}"
            metrics = "curl -s --unix-socket $SOCKET http://rlb/metrics"
            # A poll from before the group had read may have been the last one.
            polled = f"until {metrics} | grep -q '^rlb_group_lag{{.* 0.0'; do sleep 0.1; done"
            shell = (
                f"set -euo pipefail\n{ready}\n{blocks('Over the socket', 'sh')[0]}"
                # What reads from `watch` leaves before the end.
                f"set +o pipefail\n{polled}\n{blocks('Metrics', 'sh')[0]}"
            )
            run = subprocess.run(
                ["bash", "-c", shell],
                env=environ | {"PATH": path},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert run.returncode == 0, run.stderr
            assert run.stdout.count('"durability":"written"') == 4
            assert "event: end" in run.stdout
            assert run.stdout.count('"deliveryCount":1') == 2
            assert '"lagQuality":"exact"' in run.stdout
            assert 'rlb_group_lag{group="indexer",model="llama3.1:8b"} 0.0' in run.stdout
            snapshots = [line for line in run.stdout.splitlines() if '"totals":' in line]
            assert [json.loads(line)["redis"]["up"] for line in snapshots] == [True] * 3
            outputs = [
                subprocess.run(
                    [sys.executable, "-c", example],
                    env=environ,
                    capture_output=True,
                    text=True,
                    timeout=40,
                    check=False,
                )
                for example in blocks("From Python", "python")
            ]
            assert [output.returncode for output in outputs] == [0, 0, 0], [output.stderr for output in outputs]
            assert outputs[0].stdout == "Streams of tokens"
            assert outputs[1].stdout.strip()
            assert outputs[2].stdout == "['Hello', '']\n"
        finally:
            sidecar.terminate()
