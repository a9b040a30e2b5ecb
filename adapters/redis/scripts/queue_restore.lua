-- Undoes a take: the message is its tenant's first again, and the tenant's turn goes on.
-- KEYS: messages, ring, deficits
-- ARGV: stream id, tenant, cost, message, prefix of lines
local line = ARGV[5] .. ARGV[2]
local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2]
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
redis.call('ZADD', line, first and first - 1 or 0, ARGV[1])
redis.call('HINCRBY', KEYS[3], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[3], 'visited ' .. ARGV[2], 1)
redis.call('LREM', KEYS[2], 1, ARGV[2])
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
