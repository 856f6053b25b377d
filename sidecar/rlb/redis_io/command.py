"""Commands as bytes, by hiredis's encoder."""

from __future__ import annotations

from typing import Any

import hiredis

Arg = bytes | str | int | float
"""What a command is made of; every value travels as an argument of its own, never inside another."""

_pack: Any = hiredis.pack_command


TIME = b"*1\r\n$4\r\nTIME\r\n"

_QUESTIONS = b"*3\r\n$5\r\nXINFO\r\n$6\r\nGROUPS\r\n%b*3\r\n$5\r\nXINFO\r\n$6\r\nSTREAM\r\n%b*2\r\n$4\r\nPTTL\r\n%b"


def stream_questions(key: str) -> bytes:
    """XINFO GROUPS, XINFO STREAM and PTTL of a key: what is asked of 100,000 streams, so from a template."""
    raw = key.encode()
    argument = b"$%d\r\n%b\r\n" % (len(raw), raw)
    return _QUESTIONS % (argument, argument, argument)


def encode(*args: Arg) -> bytes:
    """One command in the protocol of Redis."""
    packed: bytes = _pack(args)
    return packed
