-- Undoes a take: the message is its tenant's first again, the tenant's turn goes on, and the slot is free.
-- KEYS: messages, ring, deficits, taken, due, all holders of slots, those of the tenant
-- ARGV: stream id, tenant, cost, "cost weight limit", owner ('-': anybody's), deliveries before the take, ms that it may
--       wait yet, prefix of lines, kept ms, under what name it has its slot
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local line = ARGV[8] .. ARGV[2]
local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2]
local deadline = string.format('%.0f', now + ARGV[7])
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[4], ARGV[5], ARGV[6], deadline, ARGV[2]}, ' '))
redis.call('ZADD', line, first and first - 1 or 0, ARGV[1])
redis.call('HINCRBY', KEYS[3], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[3], 'visited ' .. ARGV[2], 1)
redis.call('LREM', KEYS[2], 1, ARGV[2])
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[10])
redis.call('ZREM', KEYS[7], ARGV[10])
for _, key in ipairs({line, KEYS[1], KEYS[2], KEYS[3]}) do redis.call('PEXPIRE', key, ARGV[9]) end
return 1
