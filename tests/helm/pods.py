"""The pods in rendered objects, and what Pod Security's restricted profile has against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]


def pod_specs(objects: Iterable[Object]) -> Iterator[Mapping[str, Any]]:
    """The specification of each pod that the objects make."""
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"):
            yield item["spec"]["template"]["spec"]
        elif item["kind"] == "CronJob":
            yield item["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            yield item["spec"]


def containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All containers of a pod, init containers first."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)


def violations(pod: Mapping[str, Any]) -> Iterator[str]:
    """What the restricted profile forbids in this pod."""
    of_pod = pod.get("securityContext") or {}
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for volume in pod.get("volumes", ()):
        if not set(volume) - {"name"} <= VOLUMES:
            yield f"volume {volume['name']}"
    for container in containers(pod):
        context = container.get("securityContext") or {}
        found = {
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
            "privileged": bool(context.get("privileged")),
            "capabilities": "ALL" not in context.get("capabilities", {}).get("drop", ())
            or bool(set(context["capabilities"].get("add", ())) - {"NET_BIND_SERVICE"}),
            "runAsNonRoot": not context.get("runAsNonRoot", of_pod.get("runAsNonRoot", False)),
            "runAsUser": context.get("runAsUser", of_pod.get("runAsUser")) == 0,
            "seccompProfile": (context.get("seccompProfile") or of_pod.get("seccompProfile") or {}).get("type")
            not in ("RuntimeDefault", "Localhost"),
            "hostPort": any("hostPort" in port for port in container.get("ports", ())),
        }
        yield from (f"{container['name']}: {what}" for what, is_bad in found.items() if is_bad)


def volumes_without_mounts(pod: Mapping[str, Any]) -> set[str]:
    """Names that are mounted and not there, or there and not mounted."""
    mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", ())}
    return mounted ^ {volume["name"] for volume in pod.get("volumes", ())}
