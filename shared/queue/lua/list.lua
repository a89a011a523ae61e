-- Reads a piece of a tenant's index, newest first.
-- KEYS  1 jobs
-- ARGV  1 tenant, 2 kind or empty, 3 id after which to begin or empty, 4 how many entries to read, 5 distance of that id from
--       the end of the index, which new entries do not change
-- result  three lists as in read.lua (an id alone has no record any more), 1 if entries follow, and the distance of the first
--       entry from the end
-- bounds  n <= 256 entries; the search for the beginning reads at most the bounded index
local kind = '*'
if ARGV[2] ~= '' then kind = call('HGET', KIND_IDS, ARGV[2]) end
if not kind then return { {}, {}, {}, 0, 0 } end
local key, from, most = k_index(ARGV[1], kind), 0, math.min(tonumber(ARGV[4]), 256)
local length = call('LLEN', key)
if ARGV[3] ~= '' then
  local place = length - tonumber(ARGV[5])
  if place < 0 or call('LINDEX', key, place) ~= ARGV[3] then
    -- The end was cut off meanwhile. The oldest entry of an id that was used twice, so that no page comes twice.
    place = call('LPOS', key, ARGV[3], 'RANK', -1)
  end
  if not place then return { {}, {}, {}, 0, 0 } end
  from = place + 1
end
local ids = call('LRANGE', key, from, from + most - 1)
local answer = describe(ids, get_records(ids))
answer[4] = (#ids == most) and 1 or 0
answer[5] = length - from
return answer
