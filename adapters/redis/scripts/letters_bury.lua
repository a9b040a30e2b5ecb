-- Keeps a dead letter; the oldest make room, and who is too old goes.
-- KEYS: letters, graves (their stream ids by the time of their burial)
-- ARGV: stream id, letter, most letters, kept ms
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
local old = redis.call('ZRANGEBYSCORE', KEYS[2], 0, now - ARGV[4])
local over = redis.call('ZCARD', KEYS[2]) - #old - tonumber(ARGV[3])
if over > 0 then old = redis.call('ZRANGE', KEYS[2], 0, #old + over - 1) end
for _, id in ipairs(old) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
return redis.call('ZCARD', KEYS[2])
