-- Renews the leases of holders that are alive, also after Redis has lost its data.
-- KEYS: slots of all
-- ARGV: lease ms, prefix of the tenants' slots, then of each holder its name and its tenant
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local due, kept = now + ARGV[1], 2 * ARGV[1]
for i = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], due, ARGV[i])
  redis.call('ZADD', ARGV[2] .. ARGV[i + 1], due, ARGV[i])
  redis.call('PEXPIRE', ARGV[2] .. ARGV[i + 1], kept)
end
redis.call('PEXPIRE', KEYS[1], kept)
return 1
