-- A dead letter's row is committed: it leaves the dead, and its record is kept like any finished one.
-- KEYS  1 jobs
-- ARGV  id and death number, repeated
-- result  how many left the dead by this call
-- bounds  n <= 256
local ids, numbers = {}, {}
for i = 1, math.min(#ARGV, 512), 2 do
  ids[#ids + 1] = ARGV[i]
  numbers[#numbers + 1] = tonumber(ARGV[i + 1])
end
local raws, left = get_many(JOBS, ids), 0
for i, id in ipairs(ids) do
  local score = call('ZSCORE', DEAD, id)
  if score and tonumber(score) == numbers[i] then
    call('ZREM', DEAD, id)
    left = left + 1
    local r = raws[i] and open_record(raws[i])
    if r then
      local lane = lane_of(r.lane)
      if lane then count(lane.queue, 'd', -1) end
      call('RPUSH', k_finished(r.keep), id .. pack('>I6', r.finished))
    end
  end
end
finish()
return left
