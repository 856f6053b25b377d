"""What the screen says of an error: why a source or an action has failed, or that it is a fault of rlb-top."""

from __future__ import annotations

import logging

from rlb.errors import place_of
from rlb_top.actions import ActionFailedError
from rlb_top.source import SourceLostError

_log = logging.getLogger("rlb_top")


def words_of(error: Exception) -> str:
    """The reason in words; of an error that nobody expects only the type, as its text is not for people.

    It is logged with its place. A monitor is left open for days: a fault costs it a picture, not the screen.
    """
    if isinstance(error, SourceLostError | ActionFailedError):
        return str(error)
    _log.error("top.internal", extra={"fault": type(error).__name__, "place": place_of(error)})
    return f"internal: {type(error).__name__}"
