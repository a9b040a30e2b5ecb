-- Joins the fleet's line, both bounds checked in the same step (Q1). A message that is in it already keeps its place.
-- KEYS: messages, ring, sequence, owners
-- ARGV: stream id, tenant, message, owner, max depth, max per tenant, prefix of lines, kept ms, owner's lease ms
--       (a message is: cost, weight, bound of the tenant's slots, owner, tenant; spaces between)
-- Returns how many of the tenant's own are ahead; -1 if it is full.
local id, tenant, line = ARGV[1], ARGV[2], ARGV[7] .. ARGV[2]
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[4], now + ARGV[9], ARGV[4])
if redis.call('HEXISTS', KEYS[1], id) == 0 then
  local ahead = redis.call('ZCARD', line)
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) or ahead >= tonumber(ARGV[6]) then return -1 end
  redis.call('HSET', KEYS[1], id, ARGV[3])
  redis.call('ZADD', line, redis.call('INCR', KEYS[3]), id)
  if ahead == 0 then redis.call('RPUSH', KEYS[2], tenant) end
end
for _, key in ipairs({line, unpack(KEYS)}) do redis.call('PEXPIRE', key, ARGV[8]) end
return redis.call('ZRANK', line, id)
