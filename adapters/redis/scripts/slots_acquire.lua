-- Takes a slot as a lease, both bounds checked in the same step; a holder that has one keeps it (L6).
-- KEYS: slots of all, slots of the tenant, ring of the queue
-- ARGV: holder, bound of all, bound of the tenant, lease ms
-- Returns 1 taken, 0 others wait for one, -1 none is free, -2 the tenant has all that it may have.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return -1 end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return -2 end
end
redis.call('ZADD', KEYS[1], now + ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[4])
redis.call('PEXPIRE', KEYS[2], 2 * ARGV[4])
return 1
