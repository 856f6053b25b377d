"""A real Alertmanager, and a receiver of what it sends."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.started import Started, free_port

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
AMTOOL = shutil.which("amtool")
MISSING = "alertmanager is not installed (Debian: apt-get install prometheus-alertmanager)"


class Webhook:
    """Takes notifications from `with` to the end of the block; `alerts` are those in them, as they came."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                alerts.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def told(self, name: str, status: str, **labels: str) -> list[dict[str, Any]]:
        """What was told of an alert with these labels; `status` is firing or resolved."""
        wanted = {"alertname": name, **labels}.items()
        return [alert for alert in list(self.alerts) if alert["status"] == status and wanted <= alert["labels"].items()]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class AlertmanagerServer(Started):
    """Alertmanager with this configuration from `with` to the end of the block, with its data in `folder`."""

    def __init__(self, folder: Path, config: str) -> None:
        self._folder = folder
        self._config = config
        self.port = free_port()

    def __enter__(self) -> Self:
        assert ALERTMANAGER is not None
        config = self._folder / "alertmanager.yml"
        config.write_text(self._config)
        command = [
            ALERTMANAGER,
            f"--config.file={config}",
            f"--storage.path={self._folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            # Alone: no gossip with others.
            "--cluster.listen-address=",
        ]
        self._start(command, self._folder / "alertmanager.log")
        self.until(lambda it: it.is_ready())
        return self

    def is_ready(self) -> bool:
        """Whether it answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10) as response:
            return bool(response.status == 200)

    def post(self, alerts: Sequence[Mapping[str, str]]) -> None:
        """Tell it that alerts with these labels fire."""
        body = json.dumps([{"labels": dict(labels)} for labels in alerts]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v2/alerts", data=body, headers=headers, method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it knows, with their receivers and what inhibits them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v2/alerts", timeout=10) as response:
            found: list[dict[str, Any]] = json.load(response)
        return found
