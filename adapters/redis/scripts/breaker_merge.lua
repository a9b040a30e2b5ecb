-- Tells the fleet of one breaker; the later state wins: a higher generation, the closing of the same one, or its
-- longer cooldown (B3).
-- KEYS: states, version, settling
-- ARGV: target, generation, closed (0, 1), ms left, the rest of the entry, new here (0, 1), restored (0, 1),
--       most targets, settling ms
-- Returns the entry as it stands now and the time in ms; false if there is no room.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local generation, closed = tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HGET', KEYS[1], ARGV[1])
local stored, was_closed, till = string.match(known or '', '^(%d+) (%d) (%d+) ')
if stored then
  stored, was_closed = tonumber(stored), tonumber(was_closed)
  if ARGV[6] == '1' and was_closed == 1 and stored >= generation then
    generation = stored + 1  -- the opening is new, whatever was closed before
  elseif stored * 2 + was_closed > generation * 2 + closed then
    return {known, now}
  elseif stored == generation and was_closed == closed and tonumber(till) + 500 >= now + ARGV[4] then
    return {known, now}
  end
elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[8]) then
  return false
elseif ARGV[7] == '1' then
  -- Redis lost its data, leases too: who has a probe gets the time to take it again.
  redis.call('SET', KEYS[3], 1, 'PX', ARGV[9])
end
local entry = table.concat({generation, closed, now + ARGV[4], 0, ARGV[5]}, ' ')
redis.call('HSET', KEYS[1], ARGV[1], entry)
redis.call('SET', KEYS[2], time[1] .. '.' .. time[2])
return {entry, now}
