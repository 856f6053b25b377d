"""Who the sidecar is: the same at every start, and as Kubernetes or the operator says."""

from __future__ import annotations

import platform

import pytest

from rlb._version import __version__
from rlb.telemetry.resource import parse_attributes, resource_attributes

SOCKET = "/run/rlb/rlb.sock"


def test_without_a_word_it_is_the_host_and_the_socket() -> None:
    """Two sidecars of one host have sockets of their own; one sidecar is the same after a restart."""
    found = resource_attributes({}, SOCKET)
    assert found["service.name"] == "redis-llm-bridge"
    assert found["service.version"] == __version__
    assert found["service.instance.id"] == f"{platform.node()}:{SOCKET}"
    assert resource_attributes({}, SOCKET) == found
    assert resource_attributes({}, "/other")["service.instance.id"] != found["service.instance.id"]


def test_in_kubernetes_it_is_the_container() -> None:
    """Namespace, pod and container, from the downward API."""
    given = "k8s.namespace.name=chat,k8s.pod.name=llm-7c9f-x2x,k8s.container.name=rlb,k8s.node.name=n1"
    found = resource_attributes({"OTEL_RESOURCE_ATTRIBUTES": given}, SOCKET)
    assert found["service.instance.id"] == "chat.llm-7c9f-x2x.rlb"
    assert found["k8s.node.name"] == "n1"


@pytest.mark.parametrize(
    ("environ", "name", "instance"),
    [
        ({"OTEL_SERVICE_NAME": "chat"}, "chat", None),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,service.instance.id=i"}, "a", "i"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, "b", None),
        ({"OTEL_SERVICE_NAME": " "}, "redis-llm-bridge", None),
    ],
)
def test_what_is_said_goes_first(environ: dict[str, str], name: str, instance: str | None) -> None:
    """`OTEL_SERVICE_NAME` before the attributes, those before ours."""
    found = resource_attributes(environ, SOCKET)
    assert found["service.name"] == name
    if instance is not None:
        assert found["service.instance.id"] == instance


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("", {}),
        (" , ", {}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        (" a = 1 ,b=", {"a": "1", "b": ""}),
        ("a=x%2Cy%3Dz", {"a": "x,y=z"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1,nonsense", {}),
        ("=1", {}),
    ],
)
def test_attributes_are_read_as_the_specification_says(text: str, attributes: dict[str, str]) -> None:
    """Percent-encoded values; one bad pair spoils all."""
    assert parse_attributes(text) == attributes
