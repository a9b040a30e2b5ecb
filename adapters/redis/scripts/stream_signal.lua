-- Tells the process that fills a stream that a reader elsewhere has left it, or that somebody cancels it.
-- KEYS: meta
-- ARGV: signal (left, cancel), stream id, telling process, prefix of the processes' keys, kept ms
local owner = redis.call('HGET', KEYS[1], 'owner')
if not owner then return 0 end
if ARGV[1] == 'left' then redis.call('HDEL', KEYS[1], 'r:' .. ARGV[3]) end
-- Nobody may have it now: then whoever takes it next knows.
if ARGV[1] == 'cancel' and redis.call('HEXISTS', KEYS[1], 'job') == 1 then redis.call('HSET', KEYS[1], 'cancel', 1) end
local key = ARGV[4] .. owner
redis.call('XADD', key, 'MAXLEN', '~', 1000, '*', ARGV[1], ARGV[2])
redis.call('PEXPIRE', key, ARGV[5])
return 1
