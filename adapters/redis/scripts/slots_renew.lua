#!lua flags=allow-oom
-- Renews the leases of slots; who is not known (any more) is counted again: it runs, whatever Redis has forgotten.
-- KEYS: all holders by the end of their leases, then for each holder those of its tenant
-- ARGV: lease ms, the holders
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], ends, ARGV[i])
  redis.call('ZADD', KEYS[i], ends, ARGV[i])
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return #ARGV - 1
