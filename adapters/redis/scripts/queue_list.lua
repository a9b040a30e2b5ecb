-- All who wait, tenant by tenant in the order of the round.
-- KEYS: messages, ring
-- ARGV: prefix of lines
-- Returns of each: stream id, tenant, how many of its own are ahead, cost, how often it was taken, ms that it may wait.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local rows = {}
for _, tenant in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  for ahead, id in ipairs(redis.call('ZRANGE', ARGV[1] .. tenant, 0, -1)) do
    local message = redis.call('HGET', KEYS[1], id) or ''
    local cost, taken, deadline = string.match(message, '^(%d+) %d+ %d+ %S+ (%d+) (%d+) ')
    if cost then
      rows[#rows + 1] = {id, tenant, ahead - 1, tonumber(cost), tonumber(taken), tonumber(deadline) - now}
    end
  end
end
return rows
