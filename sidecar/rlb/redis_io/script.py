"""A Lua script and how it is sent.

A server that does not know a script's digest (restart, SCRIPT FLUSH, fail-over) answers NOSCRIPT, which applied
nothing, and gets the text once.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rlb.errors import ApiError
from rlb.redis_io.command import Arg, encode
from rlb.redis_io.replies import ReplyError
from rlb.redis_io.wire import OnReply

Send = Callable[[bytes, OnReply], None]


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and its digest."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())

    def send(self, send: Send, keys: tuple[Arg, ...], args: tuple[Arg, ...], on_reply: OnReply) -> None:
        """Run it on a connection, by `Link.send`: its digest, and where the server does not know that, its text once.

        Raises:
            ApiError: what `send` raises; nothing was sent.
        """

        def on_digest(reply: Any) -> None:
            if isinstance(reply, ReplyError) and reply.prefix == "NOSCRIPT":
                with contextlib.suppress(ApiError):
                    send(encode(b"EVAL", self.text, len(keys), *keys, *args), on_reply)
                    return
            on_reply(reply)

        send(encode(b"EVALSHA", self.sha, len(keys), *keys, *args), on_digest)
