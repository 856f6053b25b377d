"""What rlb-top remembers from one run to the next: how the table is cut, sorted and coloured. Never what it showed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rlb_top.columns import BY_ID
from rlb_top.rows import Mode
from rlb_top.source import MAX_INTERVAL_S, MIN_INTERVAL_S
from rlb_top.view import Sort

MAX_BYTES = 64 * 1024
"""A larger file is not ours."""


class Preferences(BaseModel):
    """What a person has chosen. What is None or not there was not chosen."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mode: Mode = "groups"
    theme: str | None = None
    interval_s: Annotated[float, Field(ge=MIN_INTERVAL_S, le=MAX_INTERVAL_S)] | None = None
    sorts: Mapping[Mode, Sort] = Field(default_factory=dict)
    columns: Mapping[Mode, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("sorts")
    @classmethod
    def _known_sorts(cls, sorts: Mapping[Mode, Sort]) -> Mapping[Mode, Sort]:
        """Without those by a column that this version does not have."""
        return {mode: sort for mode, sort in sorts.items() if _has(mode, sort.column)}

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, columns: Mapping[Mode, tuple[str, ...]]) -> Mapping[Mode, tuple[str, ...]]:
        return {mode: tuple(name for name in names if _has(mode, name)) for mode, names in columns.items()}

    def sort_of(self, mode: Mode) -> Sort:
        """How this mode is sorted."""
        return self.sorts.get(mode, Sort())

    def columns_of(self, mode: Mode) -> tuple[str, ...] | None:
        """The columns of this mode, by their ids; None: those shown by default."""
        return self.columns.get(mode) or None

    def with_sort(self, mode: Mode, sort: Sort) -> Preferences:
        """The same with this mode sorted so."""
        return self.model_copy(update={"sorts": {**self.sorts, mode: sort}})

    def with_columns(self, mode: Mode, columns: tuple[str, ...] | None) -> Preferences:
        """The same with these columns in this mode; None: those shown by default."""
        others = {name: picked for name, picked in self.columns.items() if name != mode}
        return self.model_copy(update={"columns": others if columns is None else {**others, mode: columns}})


def _has(mode: Mode, column: str) -> bool:
    return column in BY_ID and mode in BY_ID[column].modes


def preferences_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where they are kept: `$XDG_STATE_HOME/rlb-top/state.json`, by default below `~/.local/state`."""
    environ = os.environ if environ is None else environ
    home = environ.get("XDG_STATE_HOME", "")
    # The XDG specification says to ignore a relative one.
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME") or "/", ".local", "state")
    return base / "rlb-top" / "state.json"


def load_preferences(path: Path) -> tuple[Preferences, str | None]:
    """What is remembered, and a note if there is something that cannot be read: it is ignored."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return Preferences(), f"{path} is ignored: it is too large to be ours"
        return Preferences.model_validate_json(path.read_bytes()), None
    except FileNotFoundError:
        return Preferences(), None
    except ValidationError as error:
        first: Any = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        return Preferences(), f"{path} is ignored: {f'{place}: ' if place else ''}{first['msg']}"
    except OSError as error:
        return Preferences(), f"{path} is ignored: {error.strerror}"


def save_preferences(preferences: Preferences, path: Path) -> str | None:
    """Remember them; a note if that cannot be done. The file is whole at any moment."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".state-", delete=False) as file:
            file.write(preferences.model_dump_json(indent=2))
        Path(file.name).replace(path)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    return None
