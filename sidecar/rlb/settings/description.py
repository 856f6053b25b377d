"""What the tree of settings says about itself: names, expectations, what may be shown, schema and table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from rlb.settings.section import Section
from rlb.settings.tree import Settings
from rlb.settings.values import MASK, Masked

SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Leaf:
    """One setting: its dotted key, and its declaration in the tree."""

    key: str
    field: FieldInfo
    schema: Mapping[str, Any]

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return "RLB_" + self.key.replace(".", "__").upper()

    @property
    def flag(self) -> str:
        """The name of its flag."""
        return "--" + self.key.replace(".", "-").replace("_", "-")

    @property
    def expectation(self) -> str:
        """What a value has to be; completes the sentence "expected ..."."""
        return _expectation(self.schema)

    def show(self, value: object) -> str:
        """The value on one line, as far as it may be shown at all."""
        for mark in self.field.metadata:
            if isinstance(mark, Masked):
                return repr(mark.mask(value)) if isinstance(value, str) else MASK
        return show(value)


@cache
def leaves() -> Mapping[str, Leaf]:
    """All settings by their dotted keys, in the order of their declaration."""
    found = {}
    for name, field in Settings.model_fields.items():
        if isinstance(section := field.annotation, type) and issubclass(section, Section):
            properties = section.model_json_schema()["properties"]
            for inner, inner_field in section.model_fields.items():
                key = f"{name}.{inner}"
                found[key] = Leaf(key, inner_field, properties[inner])
        else:
            found[name] = Leaf(name, field, Settings.model_json_schema()["properties"][name])
    return found


@cache
def sections() -> Mapping[str, tuple[str, ...]]:
    """The names of the sections, and of the fields of each."""
    fields: dict[str, tuple[str, ...]] = {}
    for section, dot, field in (key.partition(".") for key in leaves()):
        if dot:
            fields[section] = (*fields.get(section, ()), field)
    return fields


def show(value: object) -> str:
    """The value on one line and cut short; of nested data only the kind, as aliases can make it endless."""
    if isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
        return "a nested list"
    if isinstance(value, dict):
        return "a mapping"
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        return "a huge number"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def effective(settings: Settings) -> dict[str, Any]:
    """The settings as JSON data, with secrets masked; reads back as a file if there are none."""
    return settings.model_dump(mode="json")


def json_schema() -> dict[str, Any]:
    """The JSON schema of a settings file, for editors and checks before a roll-out."""
    return Settings.model_json_schema()


def settings_table() -> str:
    """The settings as rows of a Markdown table: variable, default, meaning."""
    defaults = effective(Settings())
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for leaf in leaves().values():
        section, _, field = leaf.key.rpartition(".")
        default = (defaults[section] if section else defaults)[field]
        is_fixed = leaf.field.default_factory is None and default not in (None, [])
        meaning = (leaf.field.description or "").replace("|", "\\|")
        rows.append(f"| `{leaf.variable}` | {f'`{default}`' if is_fixed else ''} | {meaning} |")
    return "\n".join(rows) + "\n"


def _expectation(schema: Mapping[str, Any]) -> str:
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return _expectation(option)
    if choices := schema.get("enum"):
        return f"one of {', '.join(choices)}"
    match schema["type"]:
        case "array":
            return f"a list, each {_expectation(schema['items'])}"
        case "integer" | "number":
            kind = "a whole number" if schema["type"] == "integer" else "a number"
            return f"{kind} from {schema['minimum']} to {schema['maximum']}"
        case _:
            return "a path" if schema.get("format") == "path" else "text"
