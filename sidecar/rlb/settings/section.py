"""What the sections of the settings have in common: units, and the rules of all fields."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
HOUR_S = 3600
HOUR_MS = 1000 * HOUR_S
YEAR_MS = 365 * 24 * HOUR_MS


def disagreement(relation: str, *fields: str) -> PydanticCustomError:
    """The error of good values that do not go together; `fields` are theirs, the likeliest culprit first."""
    return PydanticCustomError("disagreement", "{relation}", {"relation": relation, "fields": fields})


class Section(BaseModel):
    """What all sections have in common: nothing changes after the start, and nothing unknown is let through."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_no_truth_value(cls, value: Any) -> Any:
        """YAML reads `no` and `off` as false, which would pass as 0. No field is a truth value."""
        if isinstance(value, bool):
            raise PydanticCustomError("truth_value", "a truth value fits no setting")
        return value
