-- Stores an API key under a name that is free: one step.
-- KEYS: the hash of all keys
-- ARGV: name, row, a version that never was before
-- Returns 0 if there is a key by this name.
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], '', ARGV[3])
return 1
