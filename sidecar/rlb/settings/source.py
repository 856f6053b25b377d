"""Fills the tree of settings: a file, then RLB_* variables, then flags; later beats earlier, setting by setting.

Before all of them come the defaults of a program that has some of its own.

Each source becomes a flat map of dotted keys which remembers how the operator wrote each key, so that an error can
say so. An error is one line, and never shows a secret: nor the value of an unknown key, which might be one.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rlb.errors import SettingsError
from rlb.settings.description import leaves, sections, show
from rlb.settings.tree import Settings
from rlb.settings.values import default_socket_path

CONFIG_VARIABLE = "RLB_CONFIG"
"""The variable that names the file, if no flag does."""

_SERVICE_LINK = re.compile(
    r"RLB_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+")


@dataclass(frozen=True)
class Given:
    """A value from one of the sources, and its key in the operator's own spelling."""

    value: object
    spelling: str


def load_settings(
    config_file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """The settings from all sources together.

    Args:
        config_file: YAML or TOML, by its suffix; by default the one that `RLB_CONFIG` names, if any.
        flags: Values by dotted key, such as `redis.url`; None stands for a flag that was not given.
        environ: The environment, by default that of the process.
        defaults: Values by dotted key for settings that no source names, in place of the tree's own.

    Raises:
        SettingsError: For the first setting that is unknown or bad.
    """
    environ = os.environ if environ is None else environ
    given = {"socket.path": Given(default_socket_path(environ), "socket.path (default)")}
    given |= {key: Given(value, f"{key} (default)") for key, value in (defaults or {}).items()}
    if config_file is not None:
        given |= _from_file(config_file, "--config")
    elif named := environ.get(CONFIG_VARIABLE):
        given |= _from_file(Path(named), CONFIG_VARIABLE)
    given |= _from_environment(environ)
    given |= _from_flags(flags or {})
    tree: dict[str, Any] = {}
    for key, item in given.items():
        section, _, field = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[field] = item.value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _bad_value(error.errors()[0], given) from None  # the cause would bring unmasked values along


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    keys = {leaf.variable: key for key, leaf in leaves().items()}
    given = {}
    for variable, value in environ.items():
        if key := keys.get(variable):
            given[key] = Given(value, variable)
        elif variable.startswith("RLB_") and variable != CONFIG_VARIABLE and not _is_service_link(variable, value):
            key = variable.removeprefix("RLB_").replace("__", ".").lower()
            raise _unknown(variable, key, {key: leaf.variable for key, leaf in leaves().items()})
    return given


def _is_service_link(variable: str, value: str) -> bool:
    """Kubernetes gives every pod such variables for a Service named `rlb` or `rlb-...`."""
    is_address = variable.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(value)
    return bool(is_address or _SERVICE_LINK.fullmatch(variable))


def _from_flags(flags: Mapping[str, object]) -> dict[str, Given]:
    given = {}
    for key, value in flags.items():
        if key not in leaves():
            raise _unknown(key, key, {key: key for key in leaves()})
        if value is not None:
            given[key] = Given(value, leaves()[key].flag)
    return given


def _from_file(path: Path, named_by: str) -> dict[str, Given]:
    given = {}
    for key, value in _flatten(path, _read(path, named_by)):
        spelling = _printable(f"{path}:{key}")
        if key not in leaves():
            raise _unknown(spelling, key, {key: key for key in leaves()})
        given[key] = Given(value, spelling)
    return given


def _flatten(path: Path, document: Mapping[Any, Any]) -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if name not in sections():
            yield str(name), value
        elif isinstance(value, dict):
            for field, inner in value.items():
                yield f"{name}.{field}", inner
        elif value is not None:  # a section whose lines are all commented out is null
            fields = ", ".join(sections()[name])
            raise SettingsError(f"{_printable(f'{path}:{name}')}: expected a section with any of {fields}")


def _read(path: Path, named_by: str) -> Mapping[Any, Any]:
    shown = f"{named_by}={str(path)!r}"
    kind = {".yaml": "YAML", ".yml": "YAML", ".toml": "TOML"}.get(path.suffix.lower())
    if kind is None:
        raise SettingsError(f"{shown}: expected a file named .yaml, .yml or .toml")
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bad name"
        raise SettingsError(f"{shown}: expected a readable file ({reason})") from None
    try:
        # Its own loader is a safe one, too.
        document = tomllib.loads(content.decode()) if kind == "TOML" else yaml.load(content, _UniqueKeyLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # The parser's own text quotes the file, where secrets may be.
        raise SettingsError(f"{shown}: expected {kind} with each key once{_line_of(error)}") from None
    if not isinstance(document, dict | None):
        raise SettingsError(f"{shown}: expected sections with any of {', '.join(sections())}")
    return document or {}


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice; otherwise the later would silently replace the earlier."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(problem="key written twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _line_of(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f" (line {error.problem_mark.line + 1})"
    match = re.search(r"\(at line (\d+), column \d+\)$", str(error)) if isinstance(error, ValueError) else None
    return f" (line {match[1]})" if match else ""


def _unknown(spelling: str, key: str, spellings: Mapping[str, str]) -> SettingsError:
    """The error for an unknown key, with the likeliest known one, in the spelling of the same source."""
    section = key.partition(".")[0]
    if close := get_close_matches(key[:100], spellings, n=1, cutoff=0.75):
        hint = f"did you mean {spellings[close[0]]}?"
    elif section in sections():
        hint = f"expected one of {', '.join(sections()[section])} in {section}"
    else:
        hint = f"expected one of the sections {', '.join(sections())}"
    return SettingsError(f"{_printable(spelling)}: unknown setting; {hint}")


def _bad_value(error: ErrorDetails, given: Mapping[str, Given]) -> SettingsError:
    """The error for a value that the tree refuses, or for values that do not agree with each other."""
    context = error.get("ctx", {})
    location = [str(part) for part in error["loc"]]
    if error["type"] == "disagreement":
        key = next(key for field in context["fields"] if (key := ".".join((*location, field))) in given)
        expectation = context["relation"]
    else:
        key = next(key for length in (1, 2) if (key := ".".join(location[:length])) in leaves())
        expectation = context["error"] if error["type"] == "value_error" else leaves()[key].expectation
    item = given[key]
    return SettingsError(f"{item.spelling}={leaves()[key].show(item.value)}: expected {expectation}")


def _printable(text: str) -> str:
    return text if text.isprintable() and len(text) <= 300 else show(text)
