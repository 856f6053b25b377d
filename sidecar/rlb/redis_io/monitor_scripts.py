"""The Lua scripts of the monitor: the observers' lease."""

from __future__ import annotations

from rlb.redis_io.script import Script

HOLD_LEASE = Script(
    """
-- Take a lease that nobody has, or renew one's own.
-- KEYS  1 lease    ARGV  1 owner  2 ms that it lasts
-- Gives {1 if the owner has it now, else 0; ms until it ends}.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 then return {0, left} end
  -- Somebody has made it last for ever: nobody would ever take over.
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {0, tonumber(ARGV[2])}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, tonumber(ARGV[2])}
"""
)


RELEASE_LEASE = Script(
    """
-- Give up one's own lease.
-- KEYS  1 lease    ARGV  1 owner    Gives 1 if it was the owner's, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
)
