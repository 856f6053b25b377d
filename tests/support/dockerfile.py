"""Reads a Dockerfile: as much of the language as ours uses. What it does not know is an error, never passed over."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_FLAG = re.compile(r"--([a-z-]+)=(\S+)\s+")
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Copy:
    """`COPY`: what from the context, or from another stage, goes where."""

    sources: tuple[str, ...]
    target: str
    stage: str | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """`RUN`: a line for the shell, with the environment and the folder that it runs in."""

    line: str
    environment: Mapping[str, str]
    folder: str


@dataclass(slots=True)
class Stage:
    """A stage: its steps in order, and what an image of it is started with."""

    name: str
    base: str
    steps: list[Copy | Run] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    ports: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health_flags: dict[str, str] = field(default_factory=dict)
    health_command: list[str] = field(default_factory=list)


def read_dockerfile(
    path: Path, arguments: Mapping[str, str] | None = None, base_environment: Mapping[str, str] | None = None
) -> list[Stage]:
    """The stages of a Dockerfile.

    Args:
        path: the file.
        arguments: what `--build-arg` gives.
        base_environment: the variables of the base image, such as PATH.

    Raises:
        ValueError: something in the file is not known here.
    """
    given = dict(arguments or {})
    outer: dict[str, str] = {}
    stages: list[Stage] = []
    for word, rest in _instructions(path.read_text()):
        if word == "ARG" and not stages:
            name, _, default = rest.partition("=")
            outer[name] = given.get(name, default)
        elif word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(name or str(len(stages)), _expanded(base, outer)))
            stages[-1].environment.update(base_environment or {})
        else:
            _apply(stages[-1], word, rest, given, outer)
    return stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction's word and the rest of it, on one line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.split(r"(?<!\\)\n", "\n".join(lines)):
        if line.strip():
            word, _, rest = re.sub(r"\s*\\\n\s*", " ", line).strip().partition(" ")
            yield word, rest.strip()


def _apply(stage: Stage, word: str, rest: str, given: Mapping[str, str], outer: Mapping[str, str]) -> None:
    known = {**stage.arguments, **stage.environment}
    match word:
        case "ARG":
            name, equals, default = rest.partition("=")
            stage.arguments[name] = given.get(name, default.strip('"') if equals else outer.get(name, ""))
        case "ENV":
            stage.environment.update(_pairs(rest, known))
        case "LABEL":
            stage.labels.update(_pairs(rest, known))
        case "WORKDIR":
            stage.folder = rest
        case "RUN" if not rest.startswith(("--", "[", "<<")):
            stage.steps.append(Run(rest, {**stage.arguments, **stage.environment}, stage.folder))
        case "COPY":
            flags, rest = _flags(rest, "from", "chown")
            *sources, target = rest.split()
            place = target if target.startswith("/") else f"{stage.folder.rstrip('/')}/{target}"
            stage.steps.append(Copy(tuple(sources), place, flags.get("from"), flags.get("chown")))
        case "USER":
            stage.user = rest
        case "EXPOSE":
            stage.ports.append(rest)
        case "STOPSIGNAL":
            stage.stop_signal = rest
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        case "CMD":
            stage.command = json.loads(rest)
        case "HEALTHCHECK":
            stage.health_flags, rest = _flags(rest, "interval", "timeout", "start-period", "retries")
            stage.health_command = json.loads(rest.removeprefix("CMD"))
        case _:
            raise ValueError(f"{word} is not known here")


def _pairs(rest: str, known: Mapping[str, str]) -> dict[str, str]:
    """`name=value` pairs; all values are expanded with what was known before the line."""
    return dict(_expanded(pair, known).split("=", 1) for pair in shlex.split(rest))


def _flags(rest: str, *names: str) -> tuple[dict[str, str], str]:
    flags = {}
    while rest.startswith("--"):
        found = _FLAG.match(rest)
        if found is None or found[1] not in names:
            raise ValueError(f"a flag of {rest!r} is not known here")
        flags[found[1]] = found[2]
        rest = rest[found.end() :]
    return flags, rest


def _expanded(text: str, known: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: known.get(found[1] or found[2], ""), text)
