-- A dead letter's row is committed: it leaves the dead, and its record is kept like any finished one.
-- KEYS  1 jobs
-- ARGV  id and death number, repeated
-- result  how many left the dead by this call
-- bounds  n <= 256
local ids, numbers, wanted = {}, {}, {}
for i = 1, math.min(#ARGV, 512), 2 do
  local id = ARGV[i]
  if not wanted[id] then
    wanted[id] = true
    ids[#ids + 1] = id
    numbers[#numbers + 1] = tonumber(ARGV[i + 1])
  end
end
if #ids == 0 then return 0 end
local left, finished, raws = {}, {}, get_many(JOBS, ids)
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
return #left
