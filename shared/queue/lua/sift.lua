-- Reads the jobs of a tenant that wait, whatever the index has forgotten: a piece of a walk over all records of the shard.
-- KEYS  1 jobs
-- ARGV  1 tenant, 2 place, 0 at first, 3 how many records to look at, about
-- result  three lists as in read.lua, without payloads, and the next place, 0 at the end. A job that waits during the whole walk
--         is in one of its answers, and may be in several.
-- bounds  n <= 128 records or 1 MiB of them, and the few more that Redis keeps together
local fields, next_cursor = scan_jobs(place_of_walk(ARGV[2]), math.min(tonumber(ARGV[3]), 128))
local ids, raws, numbers, waiting = {}, {}, {}, {}
for i = 1, #fields, 2 do
  local state = string.byte(fields[i + 1], 2)
  if (state == AVAILABLE or state == SCHEDULED or state == RETRYABLE) and payload_at(fields[i + 1]) then
    local _, _, _, _, _, number = unpack_from('>BBBBHI4', fields[i + 1])
    waiting[#waiting + 1], numbers[#numbers + 1] = i, number
  end
end
load_lanes(numbers)
for place, i in ipairs(waiting) do
  local lane = lane_of(numbers[place])
  if lane and lane.tenant == ARGV[1] then
    ids[#ids + 1], raws[#raws + 1] = fields[i], fields[i + 1]
  end
end
local runs = get_many(RUNS, ids)
local found, heads = {}, {}
for i, id in ipairs(ids) do
  if not runs[i] then -- else a worker has it, whatever the record of before says
    found[#found + 1], heads[#heads + 1] = id, sub(raws[i], 1, payload_at(raws[i]) - 1)
  end
end
local reply = describe(found, heads)
reply[4] = place_to_tell(next_cursor)
return reply
