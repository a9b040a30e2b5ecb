-- Leaves the line, and is no job any more; unless another process has taken it over. If it has just been taken with a
-- slot, that is free.
-- KEYS: messages, ring, deficits, taken, due, meta of the stream, the job; all holders of slots, those of the tenant
-- ARGV: stream id, tenant, prefix of lines, under what name it may have a slot ('': its slot is none of this)
if tonumber(redis.call('HGET', KEYS[6], 'fence') or 1) > 1 then return 0 end
local line = ARGV[3] .. ARGV[2]
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', line, ARGV[1])
if redis.call('ZCARD', line) == 0 then
  redis.call('LREM', KEYS[2], 1, ARGV[2])
  redis.call('HDEL', KEYS[3], ARGV[2], 'visited ' .. ARGV[2])
end
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[6], 'job')
redis.call('DEL', KEYS[7])
redis.call('ZREM', KEYS[8], ARGV[4])
redis.call('ZREM', KEYS[9], ARGV[4])
return removed
