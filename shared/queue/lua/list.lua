-- Reads a piece of a tenant's index, newest or oldest first.
-- KEYS  1 jobs
-- ARGV  1 tenant, 2 kind or empty, 3 id after which to begin or empty, 4 how many entries to read, 5 distance of that id from
--       the end of the index, which new entries do not change, 6 "oldest" to begin with the oldest
-- result  three lists as in read.lua (an id alone has no record any more), 1 if entries follow, and the distance of the first
--       entry from the end
-- bounds  n <= 256 entries, of which it reads 1 MiB; the search for the beginning reads at most the bounded index
local kind = '*'
if ARGV[2] ~= '' then kind = call('HGET', KIND_IDS, ARGV[2]) end
if not kind then return { {}, {}, {}, 0, 0 } end
local key, most, oldest = k_index(ARGV[1], kind), math.min(tonumber(ARGV[4]), 256), ARGV[6] == 'oldest'
local length = call('LLEN', key)
-- The entries before it, newest first, have been read; oldest first, those from it on.
local from = oldest and length or 0
if ARGV[3] ~= '' then
  local place = length - tonumber(ARGV[5])
  if place < 0 or place >= length or call('LINDEX', key, place) ~= ARGV[3] then
    -- The end was cut off meanwhile. Of an id that was used twice the entry that is read last, so that no page comes twice.
    place = call('LPOS', key, ARGV[3], 'RANK', oldest and 1 or -1)
  end
  if place then
    from = oldest and place or place + 1
  elseif not oldest then
    return { {}, {}, {}, 0, 0 }
  end
  -- Oldest first, what was cut off was all read, and the page begins with the oldest that is left.
end
local ids
if oldest then
  local first = math.max(from - most, 0)
  ids = from > 0 and call('LRANGE', key, first, from - 1) or {}
  for left = 1, math.floor(#ids / 2) do
    ids[left], ids[#ids + 1 - left] = ids[#ids + 1 - left], ids[left]
  end
  from = from - 1
else
  ids = call('LRANGE', key, from, from + most - 1)
end
local answer, others = describe_first(ids)
answer[4] = (#ids == most or #others > 0) and 1 or 0
answer[5] = length - from
return answer
