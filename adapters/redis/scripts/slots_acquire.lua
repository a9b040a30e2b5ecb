#!lua flags=allow-oom
-- Takes a slot, both bounds checked in one step (L6, Q8). A holder that has one keeps it, for another lease.
-- KEYS: all holders by the end of their leases, those of the tenant; ring and messages of the queue
-- ARGV: holder, lease ms, most in all, most of the tenant, prefix of lines, of the tenants' slots
-- Returns 1 (taken) or 0: none is free in all, or for the tenant, or somebody in the line waits for it.
-- It may write a few bytes into a full Redis: there are never more holders than slots.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs({KEYS[1], KEYS[2]}) do redis.call('ZREMRANGEBYSCORE', key, '-inf', now) end

-- Whether anybody in the line may have a slot now: who has all that they may have is waiting for their own.
local function awaited()
  for _, tenant in ipairs(redis.call('LRANGE', KEYS[3], 0, 99)) do
    local first = redis.call('ZRANGE', ARGV[5] .. tenant, 0, 0)[1] or ''
    local limit = string.match(redis.call('HGET', KEYS[4], first) or '', '^%d+ %d+ (%d+) ')
    if limit and redis.call('ZCOUNT', ARGV[6] .. tenant, now, '+inf') < tonumber(limit) then return true end
  end
  return redis.call('LLEN', KEYS[3]) > 100
end

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
  if awaited() then return 0 end
end
for _, key in ipairs({KEYS[1], KEYS[2]}) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return 1
