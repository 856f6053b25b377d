"""Stages an incident before a real Prometheus, and keeps what that has scraped: `make pictures` draws it.

A Valkey, two sidecars with their apps, an observer and a model server's metrics. In the second part the group
`indexer` has no consumer: it falls behind, streams at their MAXLEN lose what it has not read, streams that expire take
more along. Then a sidecar is restarted, the indexer comes back, and catches up.

    python -m dashboards.preview.scene.stage [--minutes 13] [--folder dashboards/preview/data]

The folder then holds `tsdb` (of Prometheus) and `scene.json`: when it began, when it ended, and what happened when.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any, Self

from rlb.client import Bridge
from tests.servers.kinds import VALKEY_9
from tests.servers.process import SHORT_TEMPORARY_FOLDER, RedisServer
from tests.support.otlp import Collector
from tests.support.prometheus import PROMETHEUS
from tests.support.started import free_port

from .apps import INDEXER, LIVE_VIEW, LLAMA, MISTRAL, MODERATION, QWEN, Apps
from .vllm import ModelServer

HERE = Path(__file__).parent.parent
RULES = HERE.parent / "generated" / "rules"
SCRAPE_S = 5
EVENTS = {"dies": 0.27, "restarts": 0.52, "returns": 0.7}
"""What happens, and after which part of the time."""

SETTINGS = {
    "RLB_STREAM__MAX_LENGTH": "10000",
    "RLB_STREAM__RETENTION_MS": "150000",
    "RLB_GROUPS__CLAIM_IDLE_MS": "20000",
    "RLB_MONITOR__IDLE_INTERVAL_SECONDS": "10",
    "RLB_MONITOR__SWEEP_SECONDS": "5",
    "RLB_MONITOR__DEAD_CONSUMER_SECONDS": "60",
    "RLB_MONITOR__PROBE_SECONDS": "2",
    "RLB_MONITOR__TOP_STREAMS": "5",
    "RLB_MONITOR__TOP_NAMES": "key",
    "RLB_LOG__LEVEL": "warning",
    "OTEL_TRACES_SAMPLER_ARG": "0.1",
    "OTEL_METRIC_EXPORT_INTERVAL": "10000",
}
"""As in production, but that minutes stand for hours."""

CONFIG = """\
global: {scrape_interval: %(scrape)ss, scrape_timeout: %(scrape)ss, evaluation_interval: 5s}
rule_files: %(rules)s
scrape_configs:
  - job_name: scene
    static_configs: %(targets)s
"""


class Part:
    """A program of the scene, from `with` to the end of the block."""

    def __init__(self, log: Path, *command: str, **variables: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RLB_", "OTEL_"))}
        self._command, self._log, self._environment = command, log, {**kept, **variables}

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.stop()


class Pod:
    """Where a sidecar listens, and what Prometheus calls it."""

    def __init__(self, name: str, address: str, job: str, folder: Path) -> None:
        self.name, self.socket, self.port = name, folder / f"{name}.s", free_port()
        self._labels = {"namespace": "chat", "job": job, "pod": name, "instance": address}

    @property
    def target(self) -> dict[str, Any]:
        return {"targets": [f"127.0.0.1:{self.port}"], "labels": self._labels}

    def sidecar(self, what: str, variables: dict[str, str]) -> Part:
        """The program: `run` for a sidecar, `observe` for an observer."""
        own = {"RLB_SOCKET__PATH": str(self.socket), "RLB_METRICS__PORT": str(self.port)}
        log = self.socket.with_suffix(".log")
        return Part(log, sys.executable, "-m", "rlb.cli", what, **SETTINGS, **variables, **own)


class Clock:
    """How far the scene has come."""

    def __init__(self, length_s: float) -> None:
        self.began_s, self.length_s = time.time(), length_s

    async def until(self, part: float) -> None:
        """Wait for this part of the time to be over."""
        await asyncio.sleep(max(0.0, self.began_s + part * self.length_s - time.time()))


async def play(first: Pod, second: Pod, restarted: Restarted, server: ModelServer, length_s: float) -> Clock:
    """Live through it."""
    async with Bridge(first.socket) as one, Bridge(second.socket) as two:
        await one.wait_until_ready(30, redis=True)
        await two.wait_until_ready(30, redis=True)
        clock = Clock(length_s)
        at_first, at_second = Apps(one, server, Random(1)), Apps(two, server, Random(2))
        parts: list[Coroutine[Any, Any, None]] = [
            *(at_first.chat((LLAMA, MISTRAL)) for _ in range(4)),
            *(at_second.chat((QWEN, MISTRAL)) for _ in range(4)),
            at_first.agent("agent-support", LLAMA),
            at_second.agent("agent-research", QWEN),
            at_first.keep_up(LIVE_VIEW, "live-view-5d8f-2k7xq"),
            at_second.keep_up(LIVE_VIEW, "live-view-5d8f-9wz4t"),
            at_first.moderate(MODERATION, "moderation-6b7c-hq2lm"),
            indexing(clock, at_second),
            restarting(clock, restarted),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        await clock.until(1.0)
        over = {task for task in tasks if task.done()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in over:
            task.result()
        return clock


async def indexing(clock: Clock, apps: Apps) -> None:
    """The group that dies, and later comes back in another pod."""
    task = asyncio.create_task(apps.keep_up(INDEXER, "indexer-79d4-m8rcv"))
    await clock.until(EVENTS["dies"])
    task.cancel()
    await clock.until(EVENTS["returns"])
    await apps.keep_up(INDEXER, "indexer-84f6-b3npd")


class Restarted:
    """A sidecar that can be started anew."""

    def __init__(self, pod: Pod, variables: dict[str, str]) -> None:
        self._pod, self._variables = pod, variables
        self._part = pod.sidecar("run", variables)

    def __enter__(self) -> Self:
        self._part.__enter__()
        return self

    def again(self) -> None:
        """Stop it, wait as long as a pod takes to come up, and start it."""
        self._part.stop()
        time.sleep(3)
        self._part = self._pod.sidecar("run", self._variables).__enter__()

    def __exit__(self, *_: object) -> None:
        self._part.__exit__()


async def restarting(clock: Clock, restarted: Restarted) -> None:
    """The rollout in the middle of the incident."""
    await clock.until(EVENTS["restarts"])
    await asyncio.to_thread(restarted.again)
    await clock.until(2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=13.0)
    parser.add_argument("--folder", type=Path, default=HERE / "data")
    chosen = parser.parse_args()
    assert PROMETHEUS is not None, "prometheus is not installed (Debian: apt-get install prometheus)"
    shutil.rmtree(chosen.folder, ignore_errors=True)
    chosen.folder.mkdir(parents=True)
    print(f"An incident of {chosen.minutes:g} minutes ...", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=SHORT_TEMPORARY_FOLDER)))
        valkey = RedisServer(VALKEY_9)
        stack.callback(valkey.close)
        valkey.start()
        collector = stack.enter_context(Collector("grpc"))
        variables = {"RLB_REDIS__URL": valkey.url, **collector.environment}
        first = Pod("llama-0", "10.42.1.17:9464", "chat/rlb", folder)
        second = Pod("qwen-0", "10.42.2.31:9464", "chat/rlb", folder)
        observer = Pod("rlb-observer-7f4d", "10.42.1.22:9464", "chat/rlb", folder)
        vllm = Pod("llama-0", "10.42.1.17:8000", "chat/vllm", folder)
        server = ModelServer(vllm.port)
        stack.callback(server.close)
        stack.enter_context(first.sidecar("run", variables))
        restarted = stack.enter_context(Restarted(second, variables))
        stack.enter_context(observer.sidecar("observe", variables))
        stack.enter_context(prometheus(chosen.folder, [first, second, observer, vllm]))
        clock = asyncio.run(play(first, second, restarted, server, chosen.minutes * 60))
        time.sleep(2 * SCRAPE_S)
    told = {
        "from": clock.began_s,
        "to": clock.began_s + clock.length_s,
        "scrapeSeconds": SCRAPE_S,
        "events": {name: clock.began_s + part * clock.length_s for name, part in EVENTS.items()},
    }
    (chosen.folder / "scene.json").write_text(json.dumps(told, indent=2) + "\n")
    print(f"{chosen.folder}: staged", file=sys.stderr)


def prometheus(folder: Path, pods: list[Pod]) -> Part:
    """A Prometheus with the generated rules that keeps its data in the folder."""
    rules = sorted(str(path) for path in RULES.glob("*.yaml"))
    targets = json.dumps([pod.target for pod in pods])
    config = folder / "prometheus.yml"
    config.write_text(CONFIG % {"scrape": SCRAPE_S, "rules": json.dumps(rules), "targets": targets})
    return Part(
        folder / "prometheus.log",
        str(PROMETHEUS),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{free_port()}",
        "--enable-feature=exemplar-storage",
    )


if __name__ == "__main__":
    main()
