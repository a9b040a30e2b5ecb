-- Leaves the line.
-- KEYS: messages, ring, deficits
-- ARGV: stream id, tenant, prefix of lines
local line = ARGV[3] .. ARGV[2]
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', line, ARGV[1])
if redis.call('ZCARD', line) == 0 then
  redis.call('LREM', KEYS[2], 1, ARGV[2])
  redis.call('HDEL', KEYS[3], ARGV[2], 'visited ' .. ARGV[2])
end
return removed
