-- Reads a piece of a tenant's index, newest first.
-- KEYS  1 jobs
-- ARGV  1 tenant, 2 kind or empty, 3 id after which to begin or empty, 4 how many entries to read
-- result  three lists as in read.lua (an id alone has no record any more), and 1 if entries follow
-- bounds  n <= 256 entries; the search for the beginning reads at most the bounded index
local kind = '*'
if ARGV[2] ~= '' then kind = call('HGET', KIND_IDS, ARGV[2]) end
if not kind then return { {}, {}, {}, 0 } end
local key, from, most = k_index(ARGV[1], kind), 0, math.min(tonumber(ARGV[4]), 256)
if ARGV[3] ~= '' then
  local place = call('LPOS', key, ARGV[3])
  if not place then return { {}, {}, {}, 0 } end
  from = place + 1
end
local ids = call('LRANGE', key, from, from + most - 1)
local answer = describe(ids, get_records(ids))
answer[4] = (#ids == most) and 1 or 0
return answer
