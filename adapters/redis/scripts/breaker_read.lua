-- Reads all breakers, if something changed since the version that the caller knows; forgets closed ones in time.
-- KEYS: states, version
-- ARGV: known version
-- Returns false if nothing changed; else the version, the time in ms, and targets with their entries in turn.
local version = redis.call('GET', KEYS[2]) or ''
if version == ARGV[1] then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rows = redis.call('HGETALL', KEYS[1])
local kept = {}
for i = 1, #rows, 2 do
  local closed, till = string.match(rows[i + 1], '^%d+ (%d) (%d+) ')
  if closed == '1' and tonumber(till) <= now then
    redis.call('HDEL', KEYS[1], rows[i])
  else
    kept[#kept + 1] = rows[i]
    kept[#kept + 1] = rows[i + 1]
  end
end
return {version, now, kept}
