"""Looking at streams: what Redis says of them at this moment. The monitor does it; this is what the bridge asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rlb.domain.stream_info import StreamInfo


class Inspector(Protocol):
    """Tells what there is to say of streams."""

    async def look(self, keys: Sequence[str]) -> list[StreamInfo]:
        """Each of these streams that exists; the others are left out, as are keys of other types.

        Raises:
            ApiError: Redis did not answer.
        """
        ...

    async def look_at(self, key: str) -> StreamInfo | None:
        """One stream; None if there is none.

        Raises:
            WrongTypeError: the key holds something else.
            ApiError: Redis did not answer.
        """
        ...
