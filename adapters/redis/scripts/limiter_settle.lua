-- Corrects the tokens of a call from what was reserved to what was used (L4).
-- KEYS: the caller's buckets
-- ARGV: requests a minute, tokens a minute, tokens used beyond those reserved (negative: given back)
local now = redis.call('TIME')
local us = now[1] * 1000000 + now[2]
local limit = tonumber(ARGV[2])
local tick = limit <= 1e7 and 1 or (limit <= 1e10 and 1000 or 1000000)
local at, minute = math.floor(us / tick), 60000000 / tick
local state = redis.call('HMGET', KEYS[1], 't', 't@', 'r', 'r@')
local level, then_ = tonumber(state[1] or 0), tonumber(state[2] or at)
level = math.max(0, math.max(0, level - limit * math.max(0, at - then_)) + ARGV[3] * minute)
level = math.min(level, 9e15) -- beyond, numbers would not be exact: no debt is longer than that
redis.call('HSET', KEYS[1], 't', string.format('%.0f', level), 't@', string.format('%.0f', math.max(at, then_)))
local life = math.ceil(math.ceil(level / limit) * tick / 1000) + 1
redis.call('PEXPIRE', KEYS[1], math.max(life, redis.call('PTTL', KEYS[1])))
return 1
