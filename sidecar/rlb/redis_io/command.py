"""Commands as bytes, by hiredis's encoder."""

from __future__ import annotations

from typing import Any

import hiredis

Arg = bytes | str | int | float
"""What a command is made of; every value travels as an argument of its own, never inside another."""

_pack: Any = hiredis.pack_command


def encode(*args: Arg) -> bytes:
    """One command in the protocol of Redis."""
    packed: bytes = _pack(args)
    return packed
