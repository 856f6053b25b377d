"""Who this sidecar is to those who get its telemetry: the OpenTelemetry resource, the same at every start."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from urllib.parse import unquote

from rlb._version import __version__

SERVICE_NAME = "redis-llm-bridge"

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""The semantic conventions that names and attributes follow."""

_PLACE = ("k8s.namespace.name", "k8s.pod.name", "k8s.container.name")


def resource_attributes(environ: Mapping[str, str], socket_path: str) -> dict[str, str]:
    """The attributes of the resource, those of `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` first.

    The instance is the pod's container where Kubernetes says which, else the host with the socket's path: each sidecar
    has a socket of its own. A random one, as SDKs make it, would begin all series anew at every start.
    """
    given = parse_attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    ours = {
        "service.name": SERVICE_NAME,
        "service.version": __version__,
        "telemetry.sdk.language": "python",
        "telemetry.distro.name": "rlb",
        "telemetry.distro.version": __version__,
    }
    found = ours | given
    if name := environ.get("OTEL_SERVICE_NAME", "").strip():
        found["service.name"] = name
    if "service.instance.id" not in found:
        if place := [found[part] for part in _PLACE if part in found]:
            found["service.instance.id"] = ".".join(place)
        else:
            host = found.get("host.name") or platform.node() or "localhost"
            found["service.instance.id"] = f"{host}:{socket_path}"
    return found


def parse_attributes(text: str) -> dict[str, str]:
    """`key=value,key=value` with percent-encoded values, as `OTEL_RESOURCE_ATTRIBUTES` has it.

    One bad pair spoils all of it, so that half of a resource passes for none (the specification asks for that).
    """
    pairs: dict[str, str] = {}
    for pair in text.split(","):
        if not pair.strip():
            continue
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not equals or not re.fullmatch(r"[\x21-\x7e]{1,255}", name):
            return {}
        pairs[name] = unquote(value.strip())
    return pairs
