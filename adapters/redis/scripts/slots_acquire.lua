#!lua flags=allow-oom
-- Takes a slot, both bounds checked in one step (L6, Q8). A holder that has one keeps it, for another lease.
-- KEYS: all holders by the end of their leases, those of the tenant; the ring of the queue
-- ARGV: holder, lease ms, most in all, most of the tenant
-- Returns 1 (taken) or 0: none is free in all, or for the tenant, or others wait in the line for one.
-- It may write a few bytes into a full Redis: there are never more holders than slots.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs({KEYS[1], KEYS[2]}) do redis.call('ZREMRANGEBYSCORE', key, '-inf', now) end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
end
for _, key in ipairs({KEYS[1], KEYS[2]}) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return 1
