"""Streams whose consumers were last there long ago, without waiting for it."""

from __future__ import annotations

import time

from redis.asyncio import Redis

DAY_MS = 86_400_000
TIME_BYTES = 8
"""Redis keeps a time in as many bytes, lowest first; ids it keeps in another way."""


async def age(redis: Redis, key: str, by_s: float) -> None:
    """Put back each time that a stream's groups keep: when consumers have called, and when entries were delivered.

    The server takes the stream out and in again, so it must allow DEBUG, and the stream has no expiry afterwards.
    """
    dump = bytearray(await redis.dump(key))
    now_ms, by_ms = time.time_ns() // 1_000_000, round(by_s * 1000)
    at = 0
    while at < len(dump) - TIME_BYTES:
        told_ms = int.from_bytes(dump[at : at + TIME_BYTES], "little")
        if now_ms - DAY_MS <= told_ms <= now_ms:
            dump[at : at + TIME_BYTES] = (told_ms - by_ms).to_bytes(TIME_BYTES, "little")
            at += TIME_BYTES
        else:
            at += 1
    # The checksum at the dump's end is of what it was before.
    await redis.execute_command("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
    try:
        await redis.restore(key, 0, bytes(dump), replace=True)
    finally:
        await redis.execute_command("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 0)
