-- Gives slots back; who has none is left out. The process whose message is first in the line hears of it.
-- KEYS: all holders by the end of their leases, ring and messages of the queue, then for each holder those of its tenant
-- ARGV: prefix of lines, prefix of processes, kept ms of a process, then the holders
-- Returns how many slots came back.
local back = 0
for i = 4, #ARGV do
  back = back + redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[i], ARGV[i])
end
local tenant = redis.call('LINDEX', KEYS[2], 0)
local first = tenant and redis.call('ZRANGE', ARGV[1] .. tenant, 0, 0)[1]
local message = first and redis.call('HGET', KEYS[3], first)
local owner = message and string.match(message, '^%S+ %S+ %S+ (%S+) ')
if owner then
  redis.call('XADD', ARGV[2] .. owner, 'MAXLEN', '~', 1000, '*', 'slot', first)
  redis.call('PEXPIRE', ARGV[2] .. owner, ARGV[3])
end
return back
