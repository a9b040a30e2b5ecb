-- Takes a cost from a caller's two limits, requests and tokens, or nothing from either (L1, L2).
-- KEYS: the caller's buckets
-- ARGV: requests a minute, tokens a minute, cost in requests, cost in tokens
-- Returns: admitted (0 or 1), then of requests and of tokens: the level now, and the length of a tick in microseconds.
-- Nothing is written on a refusal.
--
-- Each bucket is GCRA's (ITU-T I.371, annex A) written as a leaky bucket: the level that is still to drain, in units of
-- 1/(ticks a minute), and the tick of that. All numbers are whole and below 2^53, where a double is exact: for very large
-- limits the ticks are longer. A tick that has not passed has drained nothing, so nothing is ever admitted too early.
local now = redis.call('TIME')
local us = now[1] * 1000000 + now[2]

local function bucket(name, limit)
  local tick = limit <= 1e7 and 1 or (limit <= 1e10 and 1000 or 1000000) -- microseconds
  local at, minute = math.floor(us / tick), 60000000 / tick
  local state = redis.call('HMGET', KEYS[1], name, name .. '@')
  local level, then_ = tonumber(state[1] or 0), tonumber(state[2] or at)
  local passed = math.max(0, at - then_)
  level = math.max(0, level - limit * passed) -- where the product is inexact it is far above any level
  return {name = name, limit = limit, tick = tick, at = math.max(at, then_), minute = minute, level = level}
end

local function passes(b, cost)
  return cost == 0 or b.level + cost * b.minute <= b.limit * b.minute
end

local requests, tokens = bucket('r', tonumber(ARGV[1])), bucket('t', tonumber(ARGV[2]))
local costs = {tonumber(ARGV[3]), tonumber(ARGV[4])}
local admitted = passes(requests, costs[1]) and passes(tokens, costs[2])
local reply, life = {admitted and 1 or 0}, 0
for i, b in ipairs({requests, tokens}) do
  if admitted then
    b.level = b.level + costs[i] * b.minute
    redis.call('HSET', KEYS[1], b.name, string.format('%.0f', b.level), b.name .. '@', string.format('%.0f', b.at))
    life = math.max(life, math.ceil(math.ceil(b.level / b.limit) * b.tick / 1000) + 1)
  end
  reply[#reply + 1] = b.level
  reply[#reply + 1] = b.tick
end
if admitted then redis.call('PEXPIRE', KEYS[1], life) end
return reply
