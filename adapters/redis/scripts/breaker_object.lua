-- Objects to an opening for a while: the target does well at the process that says so (B1).
-- KEYS: states, version
-- ARGV: target, generation, ms
-- Returns whether the opening still stood.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local generation, closed, till, _, rest = string.match(known, '^(%d+) (%d) (%d+) (%d+) (.*)$')
if generation ~= ARGV[2] or closed ~= '0' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], table.concat({generation, closed, till, now + ARGV[3], rest}, ' '))
redis.call('SET', KEYS[2], time[1] .. '.' .. time[2])
return 1
