-- A dead letter's row is committed: it leaves the dead, and its record is kept like any finished one.
-- KEYS  1 jobs
-- ARGV  id and death number, repeated
-- result  how many of these it looked at, from the first on: of large ones, not all
-- bounds  n <= 256, 1 MiB of records
local MOST_BYTES = 1048576
local ids, numbers, wanted, looked_at, bytes = {}, {}, {}, 0, 0
for i = 1, math.min(#ARGV, 512), 2 do
  local id = ARGV[i]
  if bytes > MOST_BYTES then break end
  looked_at = looked_at + 1
  if not wanted[id] then
    wanted[id] = true
    ids[#ids + 1] = id
    numbers[#numbers + 1] = tonumber(ARGV[i + 1])
    bytes = bytes + bases.size(id)
  end
end
if #ids == 0 then return 0 end
local left, finished, raws = {}, {}, bases.get(ids)
for i, score in ipairs(call('ZMSCORE', DEAD, unpack(ids))) do
  if score and tonumber(score) == numbers[i] then
    local id, r = ids[i], raws[i] and open_record(raws[i])
    left[#left + 1] = id
    if r then
      local lane = lane_of(r.lane)
      if lane then count(lane.queue, 'd', -1) end
      local list = finished[r.keep]
      if not list then list = {}; finished[r.keep] = list end
      list[#list + 1] = id .. pack('>I6', r.finished)
    end
  end
end
if #left > 0 then call('ZREM', DEAD, unpack(left)) end
for class, list in pairs(finished) do call('RPUSH', k_finished(class), unpack(list)) end
finish()
return looked_at
