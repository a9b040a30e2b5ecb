-- Appends to many streams of one producer, each at its own position under its own fence; renews their leases (S8).
-- KEYS: meta and log of each stream
-- ARGV: owner, lease ms, renew-below ms, kept ms while open, kept ms when closed;
--       then of each stream: fence, first seq, count, closes (0 to 3), events, info ('' unless it may have to be begun)
-- Returns for each: how many events its log has now; -1 if there is no such log; -2 if it is not the owner's (any more).
-- A fence below the owner's is of a Redis that has forgotten, in a failover, that the stream was taken over: it is again.
-- closes is 3 for events that are no output yet: a queued job may still begin again elsewhere, as it may while its lease is
-- over. It is 1 for an end that equal requests must not join any more, and 2 for a complete answer: for a moment they may,
-- as its copy in the cache may have been looked for just before it was there (C1).
-- A position that the log has passed changes nothing, so a call may be repeated: the reply tells where to go on.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local owner, lease, renew, open_ms, closed_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]

local function claim_of(meta)
  local claim = redis.call('HGET', meta, 'claim')
  local holder = claim and redis.call('GET', claim)
  return holder and meta:find(holder, 1, true) and claim
end

local replies = {}
for i = 1, #KEYS / 2 do
  local meta, log = KEYS[2 * i - 1], KEYS[2 * i]
  local at = 6 * i
  local fence, first, count, closes = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
  local known = redis.call('HMGET', meta, 'fence', 'next', 'lease', 'closed', 'job', 'owner')
  local begun, job, silent = false, known[5], closes == '3'
  if silent then closes = '0' end
  if not known[1] and ARGV[at + 5] ~= '' then
    known = {fence, '0', '0', '0', false, owner}
    redis.call('DEL', log) -- what an eviction may have left of it would refuse the positions from 0
    redis.call('HSET', meta, 'info', ARGV[at + 5], 'owner', owner, 'fence', fence, 'closed', 0, 'next', 0)
    begun = true
  elseif known[1] and known[4] == '0' and tonumber(known[1]) < tonumber(fence) then
    redis.call('HSET', meta, 'owner', owner, 'fence', fence)
    known[1], known[6], begun = fence, owner, true
  end
  local next = tonumber(known[2] or -1)
  if not known[1] then
    replies[i] = -1
  elseif known[1] ~= fence or known[6] ~= owner then
    replies[i] = -2
  elseif known[4] ~= '0' then
    replies[i] = (closes ~= '0' and next == first + count) and next or -2
  elseif not begun and not job and tonumber(known[3]) < now then
    replies[i] = -2
  else
    if next == first and count > 0 then
      next = first + count
      redis.call('XADD', log, next .. '-0', 'e', ARGV[at + 4])
      if job and not silent then redis.call('HDEL', meta, 'job') end
    elseif next ~= first then
      closes = '0'
    end
    if closes ~= '0' then
      redis.call('HSET', meta, 'next', next, 'closed', closes)
      redis.call('PEXPIRE', meta, closed_ms)
      redis.call('PEXPIRE', log, closed_ms)
      local claim = claim_of(meta)
      if claim and closes == '2' then
        redis.call('PEXPIRE', claim, 1000)
      elseif claim then
        redis.call('DEL', claim)
      end
    elseif begun or tonumber(known[3]) - now < renew then
      redis.call('HSET', meta, 'next', next, 'lease', now + lease)
      redis.call('PEXPIRE', meta, open_ms)
      redis.call('PEXPIRE', log, open_ms)
      local claim = claim_of(meta)
      if claim then redis.call('PEXPIRE', claim, open_ms) end
    else
      if first == 0 then redis.call('PEXPIRE', log, open_ms) end
      redis.call('HSET', meta, 'next', next)
    end
    replies[i] = next
  end
end
return replies
