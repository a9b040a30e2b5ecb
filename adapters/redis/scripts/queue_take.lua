-- Takes the message whose turn it is, by deficit round robin over tenants (see adapters/memory/queue.py), and a slot
-- for it, if it is the asking process's own; if it is another's, that process is told to look. Tenants that have all the
-- slots that they may have are passed over; messages of dead processes are dropped.
-- KEYS: messages, ring, deficits, owners, slots
-- ARGV: asking process, quantum (the largest cost), prefix of lines, prefix of processes, kept ms of a process,
--       slots in all, lease ms of a slot, prefix of the tenants' slots, then the tenants to pass over
-- Returns the stream id; false if there is none, it is another's, or there is no slot.
local me, quantum, lines = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[5], 0, now)
if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[6]) then return false end
local passed = {}
for i = 9, #ARGV do passed[ARGV[i]] = true end

local function drop(tenant, id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', lines .. tenant, id)
  if redis.call('ZCARD', lines .. tenant) == 0 then
    redis.call('LREM', KEYS[2], 1, tenant)
    redis.call('HDEL', KEYS[3], tenant, 'visited ' .. tenant)
  end
end

local left = 2 * redis.call('LLEN', KEYS[2])
while left > 0 do
  local tenant = redis.call('LINDEX', KEYS[2], 0)
  if not tenant then return false end
  local id = redis.call('ZRANGE', lines .. tenant, 0, 0)[1]
  local message = id and redis.call('HGET', KEYS[1], id)
  local cost, weight, limit, owner = string.match(message or '', '^(%d+) (%d+) (%d+) (%S+) ')
  if not owner or tonumber(redis.call('ZSCORE', KEYS[4], owner) or 0) < now then
    drop(tenant, id or '')
  else
    left = left - 1
    local deficit = tonumber(redis.call('HGET', KEYS[3], tenant) or 0)
    local slots = ARGV[8] .. tenant
    redis.call('ZREMRANGEBYSCORE', slots, 0, now)
    if not passed[tenant] and redis.call('ZCARD', slots) < tonumber(limit) then
      if redis.call('HSETNX', KEYS[3], 'visited ' .. tenant, 1) == 1 then
        deficit = math.min(deficit, quantum) + quantum * weight
        redis.call('HSET', KEYS[3], tenant, deficit)
      end
      if tonumber(cost) <= deficit then
        if owner ~= me then
          redis.call('XADD', ARGV[4] .. owner, 'MAXLEN', '~', 1000, '*', 'slot', id)
          redis.call('PEXPIRE', ARGV[4] .. owner, ARGV[5])
          return false
        end
        redis.call('HSET', KEYS[3], tenant, deficit - cost)
        drop(tenant, id)
        redis.call('ZADD', KEYS[5], now + ARGV[7], id)
        redis.call('ZADD', slots, now + ARGV[7], id)
        redis.call('PEXPIRE', KEYS[5], 2 * ARGV[7])
        redis.call('PEXPIRE', slots, 2 * ARGV[7])
        return id
      end
    end
    redis.call('HDEL', KEYS[3], 'visited ' .. tenant)
    redis.call('LMOVE', KEYS[2], KEYS[2], 'LEFT', 'RIGHT')
  end
end
return false
