-- Takes the one probe of a target, if the caller knows its breaker as it is (B3).
-- KEYS: states, settling, probe
-- ARGV: target, generation that the caller knows open (0: none), holder, ms
-- Returns 1 if it is taken, 0 if not, -1 if Redis knows nothing of this breaker.
if ARGV[2] ~= '0' then
  local known = redis.call('HGET', KEYS[1], ARGV[1])
  if not known then return -1 end
  local generation, closed = string.match(known, '^(%d+) (%d) ')
  if generation ~= ARGV[2] or closed ~= '0' then return 0 end
  if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
end
local holder = redis.call('GET', KEYS[3])
if holder and holder ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return 1
