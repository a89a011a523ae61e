-- Reads the oldest dead letters that have not been archived.
-- KEYS  1 jobs
-- ARGV  1 how many
-- result  four lists as in read.lua, and the death numbers of all
-- bounds  n <= 256, 1 MiB of records
local entries = call('ZRANGE', DEAD, 0, math.min(tonumber(ARGV[1]), 256) - 1, 'WITHSCORES')
local ids, numbers = {}, {}
for i = 1, #entries, 2 do
  ids[#ids + 1] = entries[i]
  numbers[#numbers + 1] = tonumber(entries[i + 1])
end
local answer, others = describe_first(ids)
answer[4], answer[5] = others, numbers
return answer
