-- Gives a slot back, and tells the process whose message is first in the line.
-- KEYS: slots of all, slots of the tenant, ring and messages of the queue
-- ARGV: holder, prefix of lines, prefix of processes, kept ms of a process
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local tenant = redis.call('LINDEX', KEYS[3], 0)
local first = tenant and redis.call('ZRANGE', ARGV[2] .. tenant, 0, 0)[1]
local message = first and redis.call('HGET', KEYS[4], first)
local owner = message and string.match(message, '^%S+ %S+ %S+ (%S+) ')
if owner then
  redis.call('XADD', ARGV[3] .. owner, 'MAXLEN', '~', 1000, '*', 'slot', first)
  redis.call('PEXPIRE', ARGV[3] .. owner, ARGV[4])
end
return 1
