"""The Lua scripts: the few steps that must be one step for Redis.

Every key is declared and every value is an argument. XADD is always the first write, so that a Redis at maxmemory
refuses the script as a whole.
"""

from __future__ import annotations

from rlb.redis_io.script import Script

CLAIM = Script(
    """
-- Append one message to a stream as its new writer, unless the stream already holds the message.
-- KEYS  1 stream  2 its configuration (a hash that may be absent)
-- ARGV  1 last id the caller knows of  2 '1' to refuse if the stream has moved past it  3 how many newer entries to
--       look at  4 message id  5 lowest sequence to give  6 MAXLEN  7 retention, ms  8 message JSON before the
--       sequence  9 and after it  10.. further fields
-- Gives {verdict, entry id, last id before, MAXLEN, retention, {message id, entry id, ...} of newer entries, '1' if
-- the last entry before is a foreign writer's, ms until the entry id is in the past, the first entry's id}, newer ones
-- the newest first
--   'appended'  entry id is the new entry's
--   'present'   the message was there, as entry id; nothing was written
--   'moved'     the stream is past what the caller knows; nothing was written
local key, known, strict, window = KEYS[1], ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])

local function pair(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
end

local function message(entry)
  local data = entry and entry[2] and field(entry, 'data')
  if not data then return nil end
  local ok, decoded = pcall(cjson.decode, data)
  return ok and type(decoded) == 'table' and decoded or nil
end

local last, last_entry, first = '0-0', nil, ''
local info = redis.pcall('XINFO', 'STREAM', key)
if info.err then
  if not string.find(info.err, 'no such key', 1, true) then return info end
else
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
    if info[i] == 'last-entry' then last_entry = info[i + 1] end
    if info[i] == 'first-entry' and info[i + 1] then first = info[i + 1][1] end
  end
end

local last_ms, last_seq = pair(last)
local decoded, counted = message(last_entry), nil
if decoded and type(decoded.metadata) == 'table' and type(decoded.metadata.sequence) == 'number' then
  counted = math.floor(decoded.metadata.sequence)
  if counted ~= counted or math.abs(counted) >= 9007199254740991 then counted = nil end
end
local foreign = '0'
if last_entry and select(2, pair(last_entry[1])) ~= counted then foreign = '1' end

local config = redis.call('HMGET', KEYS[2], 'maxLength', 'retentionMs')
local max_length, retention = tonumber(config[1] or ARGV[6]), tonumber(config[2] or ARGV[7])

local newer, present = {}, nil
if last ~= known then
  local entries = redis.call('XREVRANGE', key, '+', '(' .. known, 'COUNT', window + 1)
  for _, entry in ipairs(entries) do
    local decoded = message(entry)
    if decoded and type(decoded.id) == 'string' then
      newer[#newer + 1] = decoded.id
      newer[#newer + 1] = entry[1]
      if decoded.id == ARGV[4] then present = entry[1] end
    else
      newer[#newer + 1] = ''
      newer[#newer + 1] = entry[1]
    end
  end
  if strict or (#entries > window and not present) then
    return {'moved', '', last, max_length, retention, newer, foreign, 0, first}
  end
  if present then return {'present', present, last, max_length, retention, newer, foreign, 0, first} end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local seq = math.max(last_seq, tonumber(ARGV[5]) - 1)
-- A writer that numbers its messages but not its ids (XADD *) still moves the count forward, never back.
if counted and counted > seq then seq = counted end
seq = seq + 1

-- XADD * takes <now>-0 or, if the last id is not in the past, the id next to it: one that the caller is going to use.
-- Of the appends behind a claim only that one would be refused, and the rest taken, out of order. So a claim is of the
-- millisecond before, where it can be.
local ms = math.max(now - 1, last_ms + 1)
local ahead = ms < now and 0 or ms - now + 2
local id = string.format('%.0f-%.0f', ms, seq)
local command = {'XADD', key}
if max_length > 0 then
  command[3], command[4], command[5] = 'MAXLEN', '~', max_length
end
command[#command + 1] = id
command[#command + 1] = 'data'
command[#command + 1] = ARGV[8] .. string.format('%.0f', seq) .. ARGV[9]
for i = 10, #ARGV do command[#command + 1] = ARGV[i] end
local added = redis.pcall(unpack(command))
if type(added) == 'table' and added.err then return added end
if retention > 0 then
  redis.call('XTRIM', key, 'MINID', '~', string.format('%.0f', now - retention))
  redis.call('PEXPIRE', key, retention)
  if config[1] or config[2] then redis.call('PEXPIRE', KEYS[2], retention) end
end
return {'appended', id, last, max_length, retention, newer, foreign, ahead, first}
"""
)


CREATE_GROUP = Script(
    """
-- Create a consumer group whose lag the server knows from the start.
-- KEYS  1 stream
-- ARGV  1 group  2 start ('0', '$' or an entry id)  3 most entries to count  4 '1' if the server knows ENTRIESREAD
--       5 '1' to make the stream if there is none  6 and its life in ms, 0 for ever
-- Gives 1 if the group was created, 0 if it was there.
local added, length, last, is_new = 0, 0, '0-0', false
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if not string.find(info.err, 'no such key', 1, true) then return info end
  is_new = true
else
  for i = 1, #info, 2 do
    if info[i] == 'entries-added' then added = info[i + 1] end
    if info[i] == 'length' then length = info[i + 1] end
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local start, read = ARGV[2], nil
if start == '$' then
  start, read = last, added
elseif start == '0' or start == '0-0' then
  read = added - length
else
  local rest = redis.call('XRANGE', KEYS[1], '(' .. start, '+', 'COUNT', tonumber(ARGV[3]) + 1)
  if #rest <= tonumber(ARGV[3]) then read = added - #rest end
end
local command = {'XGROUP', 'CREATE', KEYS[1], ARGV[1], start}
if ARGV[5] == '1' then command[#command + 1] = 'MKSTREAM' end
if read and ARGV[4] == '1' then
  command[#command + 1] = 'ENTRIESREAD'
  command[#command + 1] = string.format('%.0f', read)
end
local made = redis.pcall(unpack(command))
if type(made) == 'table' and made.err then
  if string.find(made.err, 'BUSYGROUP', 1, true) then return 0 end
  return made
end
-- A stream that nobody ever writes to must not stay for ever.
if is_new and tonumber(ARGV[6]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
return 1
"""
)


CREATE_STREAM = Script(
    """
-- Make an empty stream, which Redis does with a group only; nobody sees that group, as it goes in the same step.
-- KEYS  1 stream    ARGV  1 its life in ms, 0 for ever    Gives 1 if the stream was made, 0 if it was there.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'stream' then return 0 end
if kind ~= 'none' then
  return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value')
end
redis.call('XGROUP', 'CREATE', KEYS[1], 'rlb-create', '$', 'MKSTREAM')
redis.call('XGROUP', 'DESTROY', KEYS[1], 'rlb-create')
if tonumber(ARGV[1]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
"""
)


DELETE_STREAM = Script(
    """
-- Delete a stream and its configuration; nothing else.
-- KEYS  1 stream  2 its configuration    Gives 1 if there was a stream, 0 if there was nothing.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value')
end
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])
"""
)


COUNT_ENTRIES = Script(
    """
-- Count the entries of a stretch of a stream, without sending them. In pages, so that little is held at a time.
-- KEYS  1 stream    ARGV  1 from  2 to  3 the most to count
local from, most, count = ARGV[1], tonumber(ARGV[3]), 0
while count < most do
  local page = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', math.min(100, most - count))
  count = count + #page
  if #page < 100 then break end
  from = '(' .. page[#page][1]
end
return count
"""
)


READ_STREAM = Script(
    """
-- What a poll asks of a stream, all of one moment, with the undelivered entries of each group counted.
-- KEYS  1 stream    ARGV  1 the most to count for a group  2 and for all of them
-- Gives XINFO GROUPS, XINFO STREAM and the counts, in the order of the groups; -1 where there was none left to count.
local groups, most, left, counts = redis.call('XINFO', 'GROUPS', KEYS[1]), tonumber(ARGV[1]), tonumber(ARGV[2]), {}
for number, group in ipairs(groups) do
  local from, count = '-', 0
  for at = 1, #group, 2 do
    if group[at] == 'last-delivered-id' then from = '(' .. group[at + 1] end
  end
  while count < most and left > 0 do
    local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(100, most - count))
    count = count + #page
    left = left - #page
    if #page < 100 then break end
    from = '(' .. page[#page][1]
  end
  counts[number] = left > 0 and count or -1
end
return {groups, redis.call('XINFO', 'STREAM', KEYS[1]), counts}
"""
)


REMOVE_CONSUMER = Script(
    """
-- Remove a consumer, if it has nothing pending: what is pending would be lost with it.
-- KEYS  1 stream    ARGV  1 group  2 consumer  3 ms that it has to have been without a call
-- Gives 1 if it was removed, 0 if it is not there or has called since, -1 if it has something pending, -2 if there is
-- no such group or stream.
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then
  if string.find(consumers.err, '^NOGROUP') or string.find(consumers.err, 'no such key', 1, true) then return -2 end
  return consumers
end
for _, flat in ipairs(consumers) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  if consumer.name == ARGV[2] then
    local least = tonumber(ARGV[3])
    if consumer.pending > 0 or #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return -1 end
    -- From 7.2 on `idle` counts from the last attempt, `inactive` from the last success, -1 for none.
    local inactive = consumer.inactive or -1
    if consumer.idle < least or (inactive >= 0 and inactive < least) then return 0 end
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1
  end
end
return 0
"""
)
