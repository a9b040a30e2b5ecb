-- Removes an API key: one step.
-- KEYS: the hash of all keys
-- ARGV: name, a version that never was before
-- Returns 0 if there is no key by this name. The version stays behind the last key: so "none" is told from "lost".
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], '', ARGV[2])
return 1
