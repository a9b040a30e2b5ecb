-- Takes the message whose turn it is, by deficit round robin over tenants (see domain/fair_line.py), and a slot
-- for it. If it is another process's, that one is told to look; if it does not, or is dead, or a worker asks, the
-- message is taken from it, and its stream with it: a new fence, so that whoever had it can append nothing any more.
-- Tenants that have all the slots that they may have are passed over, and so is a message that cannot be taken from a
-- process that is told and does not look.
-- KEYS: messages, ring, deficits, owners, slots, taken, due, told, workers
-- ARGV: asking process, quantum (the largest cost), prefix of lines, of processes, of the tenants' slots, of jobs, of
--       metas, of logs, kept ms of a process, slots in all, lease ms of a slot, lease ms of a stream, kept ms of a
--       stream, presence ms, patience ms, whether only its own (0, 1), lease ms of a process, then the tenants to
--       pass over
-- Returns the stream id, its fence (0: it is the asking process's own), how often it was taken, ms that it may wait yet,
-- whether somebody cancelled it, its cost, weight, bound and tenant, whether it had a slot already, and its job; false
-- if there is none, it is another's, or there is no slot.
local me, quantum, lines = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HDEL', KEYS[8], me)
redis.call('ZADD', KEYS[4], 'XX', now + ARGV[17], me) -- it lives, whether or not it has anybody waiting now
redis.call('ZREMRANGEBYSCORE', KEYS[5], 0, now)
if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[10]) then return false end
local passed = {}
for i = 18, #ARGV do passed[ARGV[i]] = true end

local function drop(tenant, id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', lines .. tenant, id)
  if redis.call('ZCARD', lines .. tenant) == 0 then
    redis.call('LREM', KEYS[2], 1, tenant)
    redis.call('HDEL', KEYS[3], tenant, 'visited ' .. tenant)
  end
end

local function alive(process)
  return tonumber(redis.call('ZSCORE', KEYS[4], process) or 0) >= now
end

local function tell(process, signal, text)
  redis.call('XADD', ARGV[4] .. process, 'MAXLEN', '~', 1000, '*', signal, text)
  redis.call('PEXPIRE', ARGV[4] .. process, ARGV[9])
end

local worker = redis.call('ZSCORE', KEYS[9], me)

-- Whether this living process was told of a slot, and has not looked since.
local function overdue(owner)
  local told = redis.call('HGET', KEYS[8], owner)
  return told and now - told >= tonumber(ARGV[15])
end

-- Whether the message may be taken from this living process; if not, it is told.
local function yields(owner, job)
  if job and (worker or overdue(owner)) then return true end
  redis.call('HSETNX', KEYS[8], owner, now)
  redis.call('PEXPIRE', KEYS[8], ARGV[9])
  return false
end

-- The stream is the asking process's from now on; its new fence.
local function take_over(id, meta)
  local fence = redis.call('HINCRBY', meta, 'fence', 1)
  local before = redis.call('HGET', meta, 'owner')
  if before ~= me then
    if alive(before) then redis.call('HSET', meta, 'r:' .. before, now + ARGV[14]) end
    tell(before, 'taken', fence .. ' ' .. id)
  end
  redis.call('HDEL', meta, 'r:' .. me)
  redis.call('HSET', meta, 'owner', me, 'lease', now + ARGV[12])
  redis.call('PEXPIRE', meta, ARGV[13])
  redis.call('PEXPIRE', ARGV[8] .. id .. '}', ARGV[13])
  return fence
end

local left = 2 * redis.call('LLEN', KEYS[2])
while left > 0 do
  local tenant = redis.call('LINDEX', KEYS[2], 0)
  if not tenant then return false end
  local id = redis.call('ZRANGE', lines .. tenant, 0, 0)[1]
  local message = id and redis.call('HGET', KEYS[1], id) or ''
  local cost, weight, limit, owner, taken, deadline = string.match(message, '^(%d+) (%d+) (%d+) (%S+) (%d+) (%d+) ')
  local meta = ARGV[7] .. (id or '') .. '}'
  local known = redis.call('HMGET', meta, 'job', 'fence', 'closed', 'cancel')
  -- Only what has begun, and has no output yet, can go on elsewhere.
  local job = known[1] and known[2] and known[3] == '0' and redis.call('GET', ARGV[6] .. id)
  if not owner or (owner ~= me and not job and not alive(owner)) then
    drop(tenant, id or '')
  else
    left = left - 1
    local deficit = tonumber(redis.call('HGET', KEYS[3], tenant) or 0)
    local slots = ARGV[5] .. tenant
    redis.call('ZREMRANGEBYSCORE', slots, 0, now)
    local asleep = owner ~= me and not job and overdue(owner)
    if not passed[tenant] and not asleep and redis.call('ZCARD', slots) < tonumber(limit) then
      if redis.call('HSETNX', KEYS[3], 'visited ' .. tenant, 1) == 1 then
        deficit = math.min(deficit, quantum) + quantum * weight
        redis.call('HSET', KEYS[3], tenant, deficit)
      end
      if tonumber(cost) <= deficit then
        if owner ~= me and (ARGV[16] == '1' or (alive(owner) and not yields(owner, job))) then
          if alive(owner) then tell(owner, 'slot', id) end
          return false
        end
        redis.call('HSET', KEYS[3], tenant, deficit - cost)
        drop(tenant, id)
        local fence = owner ~= me and take_over(id, meta) or 0
        taken = taken + 1
        if job then
          local kept = {cost, weight, limit, owner, taken, deadline, tenant}
          redis.call('HSET', KEYS[6], id, table.concat(kept, ' '))
          redis.call('ZADD', KEYS[7], now + ARGV[12], id)
          redis.call('PEXPIRE', KEYS[6], ARGV[13])
          redis.call('PEXPIRE', KEYS[7], ARGV[13])
        end
        local holder = fence == 0 and id or id .. '.' .. fence
        local had = redis.call('ZSCORE', KEYS[5], holder) and 1 or 0
        for _, key in ipairs({KEYS[5], slots}) do
          redis.call('ZADD', key, 'GT', now + ARGV[11], holder)
          -- Not less than it has: others hold leases in it that are longer.
          if redis.call('PTTL', key) < 2 * ARGV[11] then redis.call('PEXPIRE', key, 2 * ARGV[11]) end
        end
        local wait, cancelled = tonumber(deadline) - now, known[4] and 1 or 0
        job = fence > 0 and job
        return {id, fence, taken, wait, cancelled, tonumber(cost), tonumber(weight), tonumber(limit), tenant, had, job}
      end
    end
    redis.call('HDEL', KEYS[3], 'visited ' .. tenant)
    redis.call('LMOVE', KEYS[2], KEYS[2], 'LEFT', 'RIGHT')
  end
end
return false
