-- Gives a probe back, if it is still the holder's.
-- KEYS: probe
-- ARGV: holder
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
