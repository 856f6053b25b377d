"""The tokens that contract and fault tests write, and where they write them unless they say otherwise."""

from __future__ import annotations

import json
import time
from typing import Any

from rlb.domain.draft import Draft, Durability, TokenRequest, draft_from_token
from rlb.domain.entry import Entry

S, M = "s-1", "meta-llama/Llama-3.1-8B:free"
KEY = f"llm:stream:{S}:{M}"


def draft(
    text: str,
    *,
    session: str = S,
    model: str = M,
    message_id: str | None = None,
    complete: str | None = None,
    durability: Durability = "written",
    traceparent: str | None = None,
    tracestate: str | None = None,
    requested_at: int | None = None,
    **more: Any,
) -> Draft:
    """The draft of a token, as the socket makes it; further members of the request by their Python names."""
    request = TokenRequest(
        session_id=session,
        model_id=model,
        token=text,
        message_id=message_id,
        complete=complete,
        durability=durability,
        traceparent=traceparent,
        tracestate=tracestate,
        requested_at=requested_at,
        **more,
    )
    return draft_from_token(request, time.time_ns() // 1_000_000)


def token_of(entry: Entry) -> str:
    """The token of an entry that rlb wrote."""
    token: str = json.loads(entry.json)["token"]
    return token
