-- Looks at a stream for a process that reads it, and ends it if its producer is dead (S8) and it is no job that waits,
-- or will begin again elsewhere (Q7).
-- KEYS: meta, log, messages of the queue, those that were taken
-- ARGV: reading process, presence ms, the terminal event for a stream whose lease is over, kept ms when closed
-- Returns false if there is no such stream; else its info, how many events its log has, and whether it is closed.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'info', 'next', 'closed', 'lease', 'job')
if not known[1] then return false end
local next, closed, job = tonumber(known[2]), tonumber(known[3]), known[5]
local waits = job and redis.call('HEXISTS', KEYS[3], job) + redis.call('HEXISTS', KEYS[4], job) > 0
if closed == 0 and tonumber(known[4]) < now and not waits then
  -- A new fence: whoever held the lease can append nothing any more, whenever it wakes up.
  redis.call('HINCRBY', KEYS[1], 'fence', 1)
  next, closed = next + 1, 1
  redis.call('XADD', KEYS[2], next .. '-0', 'e', ARGV[3])
  redis.call('HSET', KEYS[1], 'next', next, 'closed', 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  local claim = redis.call('HGET', KEYS[1], 'claim')
  local holder = claim and redis.call('GET', claim)
  if holder and KEYS[1]:find(holder, 1, true) then redis.call('DEL', claim) end
elseif closed == 0 then
  redis.call('HSET', KEYS[1], 'r:' .. ARGV[1], now + ARGV[2])
end
return {known[1], next, closed == 0 and 0 or 1}
