-- Begins a stream that holds a claim, or finds the open one that holds it: one step (C1).
-- KEYS: claim, meta of the new stream
-- ARGV: stream id, info, owner, fence, lease ms, kept ms, prefix of metas, asking process, presence ms
-- Returns false if the stream is begun; else the info of the one that is there.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local holder = redis.call('GET', KEYS[1])
if holder then
  local meta = ARGV[7] .. holder .. '}'
  local known = redis.call('HMGET', meta, 'info', 'closed', 'lease')
  -- A holder whose producer is dead serves nobody any more; one that has just ended complete (2) still does.
  if known[1] and known[2] == '0' and tonumber(known[3]) > now then
    redis.call('HSET', meta, 'r:' .. ARGV[8], now + ARGV[9])
    return known[1]
  elseif known[1] and known[2] == '2' then
    return known[1]
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[6])
redis.call('HSET', KEYS[2], 'info', ARGV[2], 'owner', ARGV[3], 'fence', ARGV[4], 'next', 0, 'closed', 0,
  'lease', now + ARGV[5], 'claim', KEYS[1])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return false
