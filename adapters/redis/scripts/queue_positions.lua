-- How many of the tenant's own are ahead of each message; -1 for one that is not in the line. Keeps its process alive.
-- KEYS: owners
-- ARGV: process, its lease ms, prefix of lines, then of each message its stream id and its tenant
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - 60000)
local ranks = {}
for i = 4, #ARGV, 2 do
  ranks[#ranks + 1] = redis.call('ZRANK', ARGV[3] .. ARGV[i + 1], ARGV[i]) or -1
end
return ranks
