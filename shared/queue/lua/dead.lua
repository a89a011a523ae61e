-- Reads the oldest dead letters that have not been archived.
-- KEYS  1 jobs
-- ARGV  1 how many
-- result  three lists as in read.lua, and the death numbers
-- bounds  n <= 256
local entries = call('ZRANGE', DEAD, 0, math.min(tonumber(ARGV[1]), 256) - 1, 'WITHSCORES')
local ids, numbers = {}, {}
for i = 1, #entries, 2 do
  ids[#ids + 1] = entries[i]
  numbers[#numbers + 1] = tonumber(entries[i + 1])
end
local answer = describe(ids, get_records(ids))
answer[4] = numbers
return answer
