-- Removes a dead letter and returns it; false if there is none.
-- KEYS: letters, graves
-- ARGV: stream id
local letter = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return letter
