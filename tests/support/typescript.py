"""Generated objects judged by the types of their readers: Grafana's dashboards, the operators' custom resources.

A value becomes `export const x: Type = {...}` with the literal JSON in it, and TypeScript's compiler says what does not
fit, misspelt keys too (it checks literals for properties that a type does not have). The packages with the types are
pinned in tests/typescript/package-lock.json and installed once, into a folder that git ignores.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).parent.parent / "typescript"
INSTALL_S = 240.0
COMPILE_S = 60.0
NO_NETWORK = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH")

PLAIN = """\
// Enums of the packages are written as the plain strings that JSON has for them.
type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"""

KUBERNETES: Mapping[str, str] = {
    "PodMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor",
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
    "PrometheusRule": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
    "ScaledObject": "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject",
    "TriggerAuthentication": "@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication",
}
"""Where the type of a custom resource is, by its kind; its name is the kind with an `I` in front."""

_TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "module": "esnext",
        "target": "esnext",
        "moduleResolution": "bundler",
        "types": [],
    },
    "include": ["*.ts"],
}


def check(files: Mapping[str, str]) -> list[str]:
    """What the compiler finds wrong with these modules, by their names ending in `.ts`; skips without Node or npm."""
    packages = installed()
    with tempfile.TemporaryDirectory(prefix="rlb-ts-") as folder:
        here = Path(folder)
        (here / "node_modules").symlink_to(packages)
        (here / "tsconfig.json").write_text(json.dumps(_TSCONFIG))
        for name, text in files.items():
            (here / name).write_text(text)
        compiler = packages / "typescript" / "bin" / "tsc"
        ran = subprocess.run(
            ["node", compiler, "--project", here, "--pretty", "false"],
            cwd=here,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMPILE_S,
            check=False,
        )
    found = [line for line in ran.stdout.splitlines() if line.strip()]
    assert ran.returncode == 0 or found, ran.stderr
    return found


def custom_resource(value: Mapping[str, Any]) -> str:
    """A module for `check` with one object of a kind of `KUBERNETES`."""
    kind = value["kind"]
    return f'import type {{ I{kind} }} from "{KUBERNETES[kind]}";\n{PLAIN}{constant("it", f"Plain<I{kind}>", value)}'


def constant(name: str, of: str, value: Any) -> str:
    """One constant of a type; a line for each key, so that the compiler's line numbers help."""
    return f"export const {name}: {of} = {json.dumps(value, indent=1, ensure_ascii=False)};\n"


def installed() -> Path:
    """The folder `node_modules` with what the lock file names, installed if it is not; one process at a time."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (Debian: apt-get install nodejs npm)")
    packages = HOME / "node_modules"
    stamp = packages / ".locked"
    wanted = hashlib.sha256((HOME / "package-lock.json").read_bytes()).hexdigest()
    with (HOME / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            _install()
            stamp.write_text(wanted)
    return packages


def _install() -> None:
    ran = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=HOME,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    if ran.returncode and NO_NETWORK.search(ran.stderr):
        pytest.skip("npm reaches no registry, and the packages with the types are not installed yet")
    assert ran.returncode == 0, ran.stderr[-2000:]
