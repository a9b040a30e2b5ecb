#!lua flags=allow-oom
-- Charges a caller's two limits, requests and tokens: both or neither (L1, L2); or, as an operation, in any case, once.
-- KEYS: the caller's state; then, for a correction (L4), its operation
-- ARGV: limit and cost of requests, limit and cost of tokens (limits a minute, at most 1e12); then, for a correction, ms
--   that operations are kept; for a charge that leases, requests and tokens to take beyond its cost, if both have room
--   for all of it, and requests and tokens of the lease that is handed in with it, which come back first
-- Returns 0, 1 (charged) or 2 (with the lease), then what is missing of each limit: whole units, and 60,000,000ths of one.
--
-- The state is what was missing at a moment: "us whole part whole part". In e us come back limit * e / 60,000,000 units:
-- whole units and a remainder, so that nothing is ever rounded. Numbers are doubles, exact up to 2^53 = 9.0e15. The time
-- is 1.8e15, and no product that counts is above 60,000,000 * 60,000,000 = 3.6e15.
-- A script that may write a few bytes into a full Redis keeps the limits exact there too: state is bounded by its TTL.
local MINUTE = 60000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- What is still missing after `elapsed` us.
local function refill(limit, whole, part, elapsed)
  local rest, fine = math.fmod(elapsed, MINUTE), math.fmod(limit, MINUTE)
  local left = math.fmod(rest * fine, MINUTE)
  whole = whole - (elapsed - rest) / MINUTE * limit - rest * ((limit - fine) / MINUTE) - (rest * fine - left) / MINUTE
  part = part - left
  if part < 0 then whole, part = whole - 1, part + MINUTE end
  if whole < 0 then return 0, 0 end
  return whole, part
end

local function fits(limit, whole, part, cost)
  return cost == 0 or whole + cost < limit or (whole + cost == limit and part == 0)
end

local function charge(whole, part, cost)
  if whole + cost < 0 then return 0, 0 end
  return whole + cost, part
end

local function ms_until_full(limit, whole)
  return math.ceil((whole + 1) / limit * 60000)
end

if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then return {0, 0, 0, 0, 0} end
local limit_r, cost_r, limit_t, cost_t = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('GET', KEYS[1]) or ''
local at, whole_r, part_r, whole_t, part_t = string.match(known, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
at, whole_r, part_r = tonumber(at or now), tonumber(whole_r or 0), tonumber(part_r or 0)
whole_t, part_t = tonumber(whole_t or 0), tonumber(part_t or 0)
local elapsed = math.max(0, now - at)
whole_r, part_r = refill(limit_r, whole_r, part_r, elapsed)
whole_t, part_t = refill(limit_t, whole_t, part_t, elapsed)
local before_r, before_part_r, before_t, before_part_t = whole_r, part_r, whole_t, part_t
local leases = not KEYS[2] and ARGV[5]
if leases then
  whole_r, part_r = charge(whole_r, part_r, -ARGV[7])
  whole_t, part_t = charge(whole_t, part_t, -ARGV[8])
end
local passes = KEYS[2] or (fits(limit_r, whole_r, part_r, cost_r) and fits(limit_t, whole_t, part_t, cost_t))
local more_r, more_t = cost_r + (leases and ARGV[5] or 0), cost_t + (leases and ARGV[6] or 0)
local granted = leases and passes and fits(limit_r, whole_r, part_r, more_r) and fits(limit_t, whole_t, part_t, more_t)
if granted then cost_r, cost_t = more_r, more_t end
if passes then
  whole_r, part_r = charge(whole_r, part_r, cost_r)
  whole_t, part_t = charge(whole_t, part_t, cost_t)
end
local reply = {granted and 2 or passes and 1 or 0, whole_r, part_r, whole_t, part_t}
if not passes then  -- what would have been handed in is kept
  whole_r, part_r, whole_t, part_t = before_r, before_part_r, before_t, before_part_t
end
-- A refusal writes nothing, but for one after the clock of Redis was set back: else nothing came back until it is there.
if passes or at > now then
  local state = string.format('%.0f %.0f %.0f %.0f %.0f', now, whole_r, part_r, whole_t, part_t)
  local full = math.max(ms_until_full(limit_r, whole_r), ms_until_full(limit_t, whole_t))
  -- A second more: keys expire by a clock that is read less often.
  redis.call('SET', KEYS[1], state, 'PX', string.format('%.0f', math.min(full, 1e15) + 1000))
end
if KEYS[2] then redis.call('SET', KEYS[2], 1, 'PX', ARGV[5]) end
return reply
