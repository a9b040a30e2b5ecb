-- Joins the fleet's line, both bounds checked in the same step (Q1). A message that is in it already keeps its place.
-- KEYS: messages, ring, sequence, owners, taken, due, meta of the stream, the job
-- ARGV: stream id, tenant, "cost weight limit", owner, max depth, max per tenant, prefix of lines, kept ms,
--       owner's lease ms, ms that it may wait, the job ('' if it cannot travel)
--       (a message is: cost, weight, bound of the tenant's slots, owner, deliveries so far, deadline, tenant)
-- Returns how many of the tenant's own are ahead; -1 if it is full; -2 if another process has taken it over.
local id, tenant, line, kept = ARGV[1], ARGV[2], ARGV[7] .. ARGV[2], ARGV[8]
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[4], now + ARGV[9], ARGV[4])
if redis.call('HEXISTS', KEYS[1], id) == 0 then
  if tonumber(redis.call('HGET', KEYS[7], 'fence') or 1) > 1 then return -2 end
  local ahead = redis.call('ZCARD', line)
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) or ahead >= tonumber(ARGV[6]) then return -1 end
  local deadline = string.format('%.0f', now + ARGV[10])
  redis.call('HSET', KEYS[1], id, table.concat({ARGV[3], ARGV[4], 0, deadline, tenant}, ' '))
  redis.call('ZADD', line, redis.call('INCR', KEYS[3]), id)
  if ahead == 0 then redis.call('RPUSH', KEYS[2], tenant) end
  redis.call('HDEL', KEYS[5], id)
  redis.call('ZREM', KEYS[6], id)
  if ARGV[11] ~= '' then
    redis.call('SET', KEYS[8], ARGV[11], 'PX', kept)
    redis.call('HSET', KEYS[7], 'job', id)
    if redis.call('PTTL', KEYS[7]) < tonumber(kept) then redis.call('PEXPIRE', KEYS[7], kept) end
  end
end
for _, key in ipairs({line, KEYS[1], KEYS[2], KEYS[3], KEYS[4]}) do redis.call('PEXPIRE', key, kept) end
return redis.call('ZRANK', line, id)
