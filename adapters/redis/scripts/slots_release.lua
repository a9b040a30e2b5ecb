-- Gives slots back; who has none is left out.
-- KEYS: all holders by the end of their leases, then for each holder those of its tenant
-- ARGV: the holders
-- Returns how many slots came back.
local back = 0
for i = 1, #ARGV do
  back = back + redis.call('ZREM', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[i + 1], ARGV[i])
end
return back
