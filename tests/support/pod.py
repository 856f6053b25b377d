"""A pod without a cluster: what the kubelet makes of a rendered spec, by hand.

Its volumes are folders that its containers see at their mount paths, its containers are namespaces of their own with
the files of the built image, its probes are executed. What it does not know of a spec is an error, never passed over.

Other than in a cluster: all containers have the built image's files, whatever image they name; the network is the
machine's; there is no limit of memory or CPU, nor a filter of system calls.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.container import PATIENCE_S, Bind, Container, Identity
from tests.support.image import Image

METADATA = {
    "metadata.name": "chat-7d9f-x2x4p",
    "metadata.namespace": "llm",
    "metadata.uid": "5c2f8f3e-0000-4000-8000-1f2e3d4c5b6a",
    "spec.nodeName": "node-a",
    "status.podIP": "127.0.0.1",
}
"""What the downward API tells a container of its pod."""

_VARIABLE = re.compile(r"\$(\$|\(([A-Za-z_][\w.-]*)\))")
_KNOWN = {
    "args", "command", "env", "image", "imagePullPolicy", "livenessProbe", "name", "ports", "readinessProbe",
    "resources", "restartPolicy", "securityContext", "startupProbe", "terminationMessagePolicy", "volumeMounts",
}  # fmt: skip

Spec = Mapping[str, Any]


class Pod:
    """The volumes of a pod below `folder`, and containers that see them.

    `files` holds what ConfigMaps and Secrets have: name → key → text.
    """

    def __init__(self, spec: Spec, folder: Path, image: Image, files: Mapping[str, Mapping[str, str]]) -> None:
        self.spec = spec
        self.folder = folder
        self._image = image
        self._files = files
        self._group: int | None = spec.get("securityContext", {}).get("fsGroup")
        for volume in spec["volumes"]:
            self._make_volume(volume)

    def volume(self, name: str) -> Path:
        """Where a volume is on the machine."""
        return self.folder / name

    def container_spec(self, name: str) -> Spec:
        """The spec of a container, be it an ordinary or an init one."""
        containers: list[Spec] = [*self.spec.get("initContainers", ()), *self.spec["containers"]]
        return next(container for container in containers if container["name"] == name)

    def container(self, spec: Spec) -> Container:
        """A container of the pod, to be entered."""
        assert spec.keys() <= _KNOWN, f"not known here: {spec.keys() - _KNOWN}"
        environment = self._environment(spec)
        command = [*(spec.get("command") or self._image.stage.entrypoint), *spec.get("args", ())]
        context = {**self.spec.get("securityContext", {}), **spec.get("securityContext", {})}
        return Container(
            self._image.root,
            [expand(word, environment) for word in command],
            environment,
            self.folder / f"{spec['name']}.log",
            self._identity(context),
            [
                Bind(self.volume(mount["name"]), mount["mountPath"], mount.get("readOnly", False))
                for mount in spec.get("volumeMounts", ())
            ],
            read_only=context.get("readOnlyRootFilesystem", False),
        )

    def _identity(self, context: Spec) -> Identity:
        """User, groups and rights, as a pod's and a container's security context together say."""
        assert context.get("privileged", False) is False
        user, _, group = self._image.stage.user.partition(":")
        uid = int(context.get("runAsUser", user))
        assert uid != 0 or not context.get("runAsNonRoot"), "the kubelet refuses to start it as root"
        groups = [*context.get("supplementalGroups", ()), *([self._group] if self._group is not None else ())]
        return Identity(
            uid,
            int(context.get("runAsGroup", group)),
            tuple(groups),
            no_new_privileges=context.get("allowPrivilegeEscalation") is False,
            drops_capabilities=context.get("capabilities", {}).get("drop") == ["ALL"],
        )

    def _environment(self, spec: Spec) -> dict[str, str]:
        environment = {"HOSTNAME": METADATA["metadata.name"], "HOME": "/", **self._image.stage.environment}
        own: dict[str, str] = {}
        for variable in spec.get("env", ()):
            if "value" in variable:
                own[variable["name"]] = expand(variable["value"], own)
            else:
                own[variable["name"]] = METADATA[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        return environment | own

    def _make_volume(self, volume: Spec) -> None:
        """A volume as the kubelet leaves it: with the group of the pod, and its bit on folders."""
        path = self.volume(volume["name"])
        path.mkdir()
        if "emptyDir" in volume:
            path.chmod(0o777)
        else:
            kind = "configMap" if "configMap" in volume else "secret"
            source = volume[kind]
            keys = self._files[source["name" if kind == "configMap" else "secretName"]]
            items = source.get("items") or [{"key": key, "path": key} for key in keys]
            # Behind a link, so that all files change at once.
            data = path / "..2026_01_01_00_00_00.0"
            data.mkdir()
            (path / "..data").symlink_to(data.name)
            for item in items:
                (data / item["path"]).write_text(keys[item["key"]])
                (data / item["path"]).chmod(source.get("defaultMode", 0o644))
                (path / item["path"]).symlink_to(f"..data/{item['path']}")
        if self._group is not None:
            is_writable = "emptyDir" in volume
            for place in (path, *path.rglob("*")):
                if not place.is_symlink():
                    os.chown(place, -1, self._group)
                    mode = place.stat().st_mode | (0o660 if is_writable else 0o440)
                    place.chmod(mode | 0o2110 if place.is_dir() else mode)


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` replaced by what came before it; what is not known stays, and `$$` is one `$`."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else known.get(found[2], found[0])

    return _VARIABLE.sub(value, text)


def succeeds(container: Container, spec: Spec, probe: Spec) -> bool:
    """Execute a probe once, as the kubelet does."""
    timeout_s = max(PATIENCE_S / 3, probe.get("timeoutSeconds", 1))
    if "exec" in probe:
        try:
            return container.exec(probe["exec"]["command"], timeout_s).returncode == 0
        except (subprocess.TimeoutExpired, AssertionError):
            return False
    port = probe["httpGet"]["port"]
    numbers = {each["name"]: each["containerPort"] for each in spec["ports"]}
    connection = http.client.HTTPConnection(METADATA["status.podIP"], numbers.get(port, port), timeout=timeout_s)
    try:
        connection.request("GET", probe["httpGet"]["path"])
        return 200 <= connection.getresponse().status < 400
    except OSError:
        return False
    finally:
        connection.close()


def is_kept(container: Container, spec: Spec, probe: Spec) -> bool:
    """Whether the kubelet leaves it alone: the probe does not fail as often in a row as makes it act."""
    return any(succeeds(container, spec, probe) for _ in range(probe["failureThreshold"]))


def started(container: Container, spec: Spec) -> None:
    """Wait as the kubelet waits: until the startup probe succeeds, or has failed too often."""
    probe = spec["startupProbe"]
    until_s = time.monotonic() + max(PATIENCE_S, probe["periodSeconds"] * probe["failureThreshold"])
    while not succeeds(container, spec, probe):
        assert container.is_running, f"it ended: {container.log}"
        assert time.monotonic() < until_s, f"the startup probe fails: {container.log}"
        time.sleep(0.1)


def files_of(objects: Sequence[Spec], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """What rendered ConfigMaps hold, and secrets, which a cluster has already."""
    maps = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
    return {**maps, **secrets}
