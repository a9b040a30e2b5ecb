-- How many processes other than the owner read a stream now; if none, nobody can join it any more (C2).
-- KEYS: meta
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local fields = redis.call('HGETALL', KEYS[1])
local readers, claim = 0, false
for i = 1, #fields, 2 do
  if fields[i] == 'claim' then
    claim = fields[i + 1]
  elseif fields[i]:sub(1, 2) == 'r:' and tonumber(fields[i + 1]) > now then
    readers = readers + 1
  end
end
if readers == 0 and claim then
  local holder = redis.call('GET', claim)
  if holder and KEYS[1]:find(holder, 1, true) then redis.call('DEL', claim) end
end
return readers
