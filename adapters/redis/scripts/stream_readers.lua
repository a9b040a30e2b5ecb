-- How many processes other than the owner read a stream now.
-- KEYS: meta
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local fields = redis.call('HGETALL', KEYS[1])
local readers = 0
for i = 1, #fields, 2 do
  if fields[i]:sub(1, 2) == 'r:' and tonumber(fields[i + 1]) > now then readers = readers + 1 end
end
return readers
