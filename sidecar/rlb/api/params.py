"""What several rows of the table of calls share: parameters, and the problems that they may end in."""

from __future__ import annotations

from rlb.api.models import ENTRY_ID_PATTERN
from rlb.api.routes import Param
from rlb.domain.draft import MAX_UNIX_MS
from rlb.domain.stream_key import MODEL_ID_PATTERN, SESSION_ID_PATTERN

WRITE = (400, 409, 413, 415, 429, 503)
READ = (400, 404, 409, 410, 413, 415, 503)
MANAGE = (400, 404, 409, 410, 413, 415, 501, 503)

SESSION: dict[str, object] = {"type": "string", "pattern": SESSION_ID_PATTERN}
MODEL: dict[str, object] = {"type": "string", "pattern": MODEL_ID_PATTERN}
NAME: dict[str, object] = {"type": "string", "pattern": r"^[A-Za-z0-9_.@=+~:/-]{1,128}$"}
UNIX_MS: dict[str, object] = {"type": "integer", "minimum": 0, "maximum": MAX_UNIX_MS}
ENTRY_ID: dict[str, object] = {"type": "string", "pattern": ENTRY_ID_PATTERN}
SHARED = Param("shared", {"type": "boolean"}, "Several producers write these streams on purpose: do not fence.")
STREAM = (
    Param("sessionId", SESSION, "The session.", required=True),
    Param("modelId", MODEL, "The model.", required=True),
)
PATH = (
    Param("sessionId", SESSION, "The session.", required=True, where="path"),
    Param("modelId", MODEL, "The rest of the path, slashes and all.", required=True, where="path"),
)


def number(least: int, most: int, default: int) -> dict[str, object]:
    """The schema of a whole number within bounds."""
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}
