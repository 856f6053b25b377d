"""The Lua scripts of the monitor: the observers' lease, and the removal of a consumer."""

from __future__ import annotations

from rlb.redis_io.scripts import Script

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


REMOVE_CONSUMER = Script(
    """
-- Remove a consumer that has gone, if it still has nothing pending: what is pending would be lost with it.
-- KEYS  1 stream    ARGV  1 group  2 consumer  3 ms without a call
-- Gives 1 if it was removed, 0 if it is not there, has something pending, or has called since.
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then
  if string.find(consumers.err, '^NOGROUP') or string.find(consumers.err, 'no such key', 1, true) then return 0 end
  return consumers
end
for _, flat in ipairs(consumers) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  if consumer.name == ARGV[2] then
    local least = tonumber(ARGV[3])
    -- From 7.2 on `idle` counts from the last attempt, `inactive` from the last success, -1 for none.
    local inactive = consumer.inactive or -1
    if consumer.pending > 0 or consumer.idle < least or (inactive >= 0 and inactive < least) then return 0 end
    if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1
  end
end
return 0
"""
)
