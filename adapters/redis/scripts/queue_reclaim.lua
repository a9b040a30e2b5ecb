-- Puts back into the line what dead processes had taken and had shown nothing of (Q7, Q8); forgets what has output.
-- KEYS: messages, ring, deficits, taken, due, owners, workers
-- ARGV: prefix of lines, of metas, of jobs, kept ms, how many to look at; then, if it is a worker, the asking process
--       and its lease ms
-- Returns how many came back.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
if ARGV[6] then
  redis.call('ZADD', KEYS[6], now + ARGV[7], ARGV[6])
  redis.call('ZADD', KEYS[7], 'NX', now, ARGV[6])
  redis.call('PEXPIRE', KEYS[6], ARGV[4])
  redis.call('PEXPIRE', KEYS[7], ARGV[4])
end
local back = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], 0, now, 'LIMIT', 0, ARGV[5])) do
  local message = redis.call('HGET', KEYS[4], id)
  local known = redis.call('HMGET', ARGV[2] .. id .. '}', 'job', 'lease', 'closed')
  local lease = tonumber(known[2] or 0)
  if message and known[1] and known[3] == '0' and lease >= now then
    redis.call('ZADD', KEYS[5], lease, id)
  else
    redis.call('ZREM', KEYS[5], id)
    redis.call('HDEL', KEYS[4], id)
    if message and known[1] and known[3] == '0' and redis.call('EXISTS', ARGV[3] .. id) == 1 then
      local numbers, rest = string.match(message, '^(%d+ %d+ %d+) %S+ (.*)$')
      local tenant = string.match(rest, '^%d+ %d+ (.*)$')
      local line = ARGV[1] .. tenant
      local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2]
      redis.call('HSET', KEYS[1], id, numbers .. ' - ' .. rest)
      redis.call('ZADD', line, first and first - 1 or 0, id)
      redis.call('LREM', KEYS[2], 1, tenant)
      redis.call('LPUSH', KEYS[2], tenant)
      for _, key in ipairs({line, KEYS[1], KEYS[2]}) do redis.call('PEXPIRE', key, ARGV[4]) end
      back = back + 1
    else
      redis.call('DEL', ARGV[3] .. id)
    end
  end
end
return back
