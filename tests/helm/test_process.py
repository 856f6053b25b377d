"""The rendered chart works: its containers are started as it says, without a cluster.

Each is a process with the rendered command, variables, user, groups and rights, on a root that cannot be written to,
with the rendered volumes and nothing else; then every rendered probe is executed. See `tests.support.pod` for what is
done as the kubelet does it and for what is not.
"""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.built_image import image
from tests.support.container import Container, eventually
from tests.support.example_chart import with_dependency
from tests.support.helm import CHART, HELM_4, needs_helm_4
from tests.support.image import Image
from tests.support.pod import METADATA, Pod, Spec, files_of, is_kept, started, succeeds
from tests.support.started import free_port

__all__ = ["image"]

pytestmark = [needs_helm_4, pytest.mark.timeout(600)]

PASSWORD = "correct horse"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def server_for(role: str, own_server: OwnServer, folder: Path) -> RedisServer:
    """A Redis that lets in a user who may do no more than `rlb acl` says, by the password of the Secret."""
    password = folder / "password"
    password.write_text(PASSWORD)
    command = [sys.executable, "-m", "rlb.cli", "acl", "--role", role, "--server-version", "valkey-9.1"]
    line = subprocess.run(
        [*command, "--format", "aclfile", "--password-file", str(password)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    return own_server(config=("user default on nopass ~* -@all +ping +client|list +xrevrange", line), tcp=True)


@pytest.fixture
def redis(own_server: OwnServer, tmp_path: Path) -> RedisServer:
    """The Redis of a sidecar."""
    return server_for("sidecar", own_server, tmp_path)


@pytest.fixture
def port() -> int:
    """A free port: pods have a network of their own, here there is one for all."""
    return free_port()


def values_of(redis: RedisServer, port: int) -> dict[str, Any]:
    """Values of the chart: where Redis is and who we are to it, and the port; all else is left as it is."""
    return {
        "redis": {
            "url": redis.tcp_url,
            "username": "rlb",
            "auth": {"existingSecret": "redis-credentials", "passwordKey": "redis-password"},
        },
        "metrics": {"port": port},
    }


SECRETS = {"redis-credentials": {"redis-password": PASSWORD}}


def template_of(objects: list[dict[str, Any]]) -> Spec:
    """The pod's spec of the one Deployment among them."""
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    spec: Spec = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def app_pod(image: Image, redis: RedisServer, port: int, tmp_path: Path, short_tmp: Path) -> Pod:
    """A pod of a chart that depends on rlb's and includes its templates: the example beside vLLM."""
    objects = HELM_4.render(with_dependency("vllm", tmp_path), {"rlb": values_of(redis, port)})
    spec = template_of(objects)
    # What is no business of rlb's: the model server, and its volumes, for which this machine has no claims.
    ours = {mount["name"] for mount in spec["initContainers"][0]["volumeMounts"]} | {"gateway"}
    rest = {**spec, "volumes": [volume for volume in spec["volumes"] if volume["name"] in ours]}
    return Pod(rest, short_tmp, image, files_of(objects, SECRETS))


@pytest.fixture
def sidecar(app_pod: Pod) -> Iterator[Container]:
    """The sidecar of that pod, started."""
    spec = app_pod.container_spec("rlb")
    with app_pod.container(spec) as container:
        started(container, spec)
        yield container


def app_spec(app_pod: Pod, uid: int, *command: str) -> dict[str, Any]:
    """A container of an app with a user of its own that sees the socket's folder, without the right to write there."""
    mount = next(m for m in app_pod.container_spec("gateway")["volumeMounts"] if m["name"] == "rlb-socket")
    return {
        "name": f"app-{uid}",
        "command": list(command),
        "securityContext": {
            "runAsUser": uid,
            "runAsGroup": uid,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{**mount, "readOnly": True}],
    }


def produced(app_pod: Pod, session: str) -> int:
    """Have an app write two tokens and an end; its exit code."""
    command = f"echo one two | rlb produce --session {session} --model m"
    with app_pod.container(app_spec(app_pod, 1000, "sh", "-c", command)) as app:
        return app.ended()


def connected(sidecar: Container) -> None:
    eventually(lambda: sidecar.exec(["rlb", "health", "all"]).returncode == 0, "connected to Redis", sidecar)


def test_every_probe_of_the_sidecar_succeeds(app_pod: Pod, sidecar: Container, redis: RedisServer) -> None:
    spec = app_pod.container_spec("rlb")
    for probe in PROBES:
        assert is_kept(sidecar, spec, spec[probe]), probe
    connected(sidecar)
    assert b"user=rlb" in redis.command("CLIENT", "LIST")


def test_the_sidecar_has_no_rights_and_one_folder_to_write_to(app_pod: Pod, sidecar: Container) -> None:
    """As restricted Pod Security has it, and as the kernel sees it."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{sidecar.pid}/status").read_text().splitlines())
    assert (status["Uid"].split(), status["Gid"].split()) == (["65532"] * 4, ["65532"] * 4)
    assert status["Groups"].split() == ["65532"]
    assert status["NoNewPrivs"] == "1"
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    writable = "import os, sys; print([p for p in sys.argv[1:] if os.access(p, os.W_OK)])"
    places = ["/", "/etc", "/etc/rlb/config", "/etc/rlb/redis/password", "/opt/rlb", "/run", "/run/rlb", "/tmp", "/usr"]
    assert sidecar.exec(["python", "-c", writable, *places]).stdout.strip() == "['/run/rlb']"


def test_the_socket_and_its_folder_are_for_the_group_of_the_pod(app_pod: Pod, sidecar: Container) -> None:
    folder, path = app_pod.volume("rlb-socket"), app_pod.volume("rlb-socket") / "rlb.sock"
    # As the kubelet makes an emptyDir with fsGroup: anybody's in the pod, and all in it the group's.
    assert (folder.stat().st_uid, folder.stat().st_gid) == (0, 65532)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2777
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert (path.stat().st_uid, path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (65532, 65532, 0o660)


def test_an_app_with_another_user_writes_tokens(app_pod: Pod, sidecar: Container, redis: RedisServer) -> None:
    """By its group, though its mount of the socket's folder is read-only."""
    connected(sidecar)
    assert produced(app_pod, "s") == 0
    assert sidecar.exec(["rlb", "tail", "--session", "s", "--model", "m"]).stdout.startswith("one two")
    # Who is no member of the group stays outside.
    outsider = app_spec(app_pod, 1000, "rlb", "health", "live")
    container = app_pod.container(outsider)
    container.identity = type(container.identity)(1000, 1000)
    with container as running:
        assert running.ended() == 1
        assert "Permission denied" in running.log


def test_the_gateway_of_the_example_starts(app_pod: Pod, sidecar: Container) -> None:
    """As the same image, from the script in its ConfigMap; it is not ready, as no model server is there."""
    spec = dict(app_pod.container_spec("gateway"))
    own = free_port()
    spec["env"] = [{**each, "value": str(own)} if each["name"] == "PORT" else each for each in spec["env"]]
    spec["ports"] = [{"name": "http", "containerPort": own}]
    with app_pod.container(spec) as gateway:
        eventually(lambda: succeeds(gateway, spec, spec["livenessProbe"]), "alive", gateway)
        assert not succeeds(gateway, spec, spec["readinessProbe"])
        gateway.send(signal.SIGTERM)
        assert gateway.ended() == 0, gateway.log


def test_metrics_name_the_pod(app_pod: Pod, sidecar: Container) -> None:
    """$(NAME) in a variable is filled in from the downward API."""
    ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
    (port,) = [each["containerPort"] for each in app_pod.container_spec("rlb")["ports"]]
    metrics = sidecar.exec(["python", "-c", ask, f"http://127.0.0.1:{port}/metrics"]).stdout
    assert f'k8s_pod_name="{METADATA["metadata.name"]}"' in metrics
    assert 'k8s_namespace_name="llm"' in metrics


def test_an_outage_of_redis_leaves_the_pod_in_service(app_pod: Pod, sidecar: Container, redis: RedisServer) -> None:
    """Neither is the sidecar restarted nor the pod, with all its app does, taken out; and it goes on by itself."""
    connected(sidecar)
    spec = app_pod.container_spec("rlb")
    redis.kill()
    eventually(lambda: sidecar.exec(["rlb", "health", "all"]).returncode == 1, "told of the outage", sidecar)
    for probe in PROBES:
        assert is_kept(sidecar, spec, spec[probe]), probe
    redis.start()
    connected(sidecar)
    assert produced(app_pod, "s") == 0


def last_token(redis: RedisServer) -> str | None:
    """The latest token of the stream, as it stands in Redis."""
    entries = redis.command("XREVRANGE", "llm:stream:s:m", "+", "-", "COUNT", 1)
    return json.loads(entries[0][1][1])["token"] if entries else None


def test_the_sidecar_drains_within_the_time_of_the_pod(app_pod: Pod, sidecar: Container, redis: RedisServer) -> None:
    """An answer that is under way does not hold it up, and what was taken of it stands in Redis."""
    connected(sidecar)
    grace_s = app_pod.spec["terminationGracePeriodSeconds"]
    endless = app_spec(app_pod, 1000, "sh", "-c", "(echo one; sleep 600) | rlb produce --session s --model m")
    with app_pod.container(endless):
        eventually(lambda: last_token(redis) is not None, "written to", sidecar)
        began_s = time.monotonic()
        sidecar.send(signal.SIGTERM)
        assert sidecar.ended(grace_s) == 0, sidecar.log
    assert time.monotonic() - began_s < grace_s
    assert "service.drained" in sidecar.log
    assert last_token(redis) == "one"
    assert list(app_pod.volume("rlb-socket").iterdir()) == []


def test_the_sidecar_starts_again_over_what_a_crash_left(app_pod: Pod, redis: RedisServer) -> None:
    """The volume outlives the container, and in it the socket of the one before."""
    spec = app_pod.container_spec("rlb")
    with app_pod.container(spec) as first:
        started(first, spec)
        first.send(signal.SIGKILL)
        first.ended()
    assert (app_pod.volume("rlb-socket") / "rlb.sock").exists()
    with app_pod.container(spec) as second:
        started(second, spec)
        connected(second)


def test_the_observer_polls(image: Image, own_server: OwnServer, port: int, tmp_path: Path, short_tmp: Path) -> None:
    redis = server_for("observer", own_server, tmp_path)
    objects = HELM_4.render(CHART, values_of(redis, port))
    pod = Pod(template_of(objects), short_tmp, image, files_of(objects, SECRETS))
    spec = pod.container_spec("observer")
    with pod.container(spec) as observer:
        started(observer, spec)
        for probe in PROBES:
            assert is_kept(observer, spec, spec[probe]), probe
        ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        command = ["python", "-c", ask, f"http://127.0.0.1:{port}/metrics"]
        leads = re.compile(r"^rlb_monitor_leader\{.*\} 1\.0$", re.MULTILINE)
        eventually(lambda: leads.search(observer.exec(command).stdout), "the one that polls", observer)
        redis.kill()
        eventually(lambda: "rlb_redis_up 0.0" in observer.exec(command).stdout, "told of the outage", observer)
        for probe in PROBES:
            assert is_kept(observer, spec, spec[probe]), probe
        observer.send(signal.SIGTERM)
        assert observer.ended(pod.spec["terminationGracePeriodSeconds"]) == 0, observer.log
