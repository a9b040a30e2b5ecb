-- Gives slots back; who has none is left out. If anybody waits in the line, a worker hears of it, or else the process
-- whose message is first.
-- KEYS: all holders by the end of their leases; ring, messages, owners and workers of the queue; then for each holder
--       those of its tenant
-- ARGV: prefix of lines, prefix of processes, kept ms of a process, then the holders
-- Returns 0 if nobody waits, 1 if somebody was told, 2 if there is nobody to tell.
for i = 4, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[i + 2], ARGV[i])
end
local tenant = redis.call('LINDEX', KEYS[2], 0)
if not tenant then return 0 end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local function alive(process)
  return tonumber(redis.call('ZSCORE', KEYS[4], process) or 0) >= now
end
local first = redis.call('ZRANGE', ARGV[1] .. tenant, 0, 0)[1] or ''
local owner = string.match(redis.call('HGET', KEYS[3], first) or '', '^%S+ %S+ %S+ (%S+) ')
local told = owner and alive(owner) and owner
-- The one that was told longest ago is first.
for _, worker in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
  if alive(worker) then
    redis.call('ZADD', KEYS[5], now, worker)
    told = worker
    break
  end
  redis.call('ZREM', KEYS[5], worker)
end
if not told then return 2 end
redis.call('XADD', ARGV[2] .. told, 'MAXLEN', '~', 1000, '*', 'slot', first)
redis.call('PEXPIRE', ARGV[2] .. told, ARGV[3])
return 1
