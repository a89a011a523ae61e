-- Figures of the queues of a shard.
-- KEYS  1 jobs
-- ARGV  1 a queue, or empty for all
-- result  {counters by field, paused queues, queue and age of its oldest available job in ms...}: three flat lists
-- bounds  looks at the heads of at most 256 lanes per queue, at most 64 queues
local counters, queues, seen = call('HGETALL', COUNTS), {}, {}
for i = 1, #counters, 2 do
  local queue = string.match(counters[i], '^(.*):.$')
  if queue and not seen[queue] and #queues < 64 and (ARGV[1] == '' or ARGV[1] == queue) then
    seen[queue] = true
    queues[#queues + 1] = queue
  end
end
local ages = {}
for _, queue in ipairs(queues) do
  local heads, looked = {}, 0
  for _, tenant in ipairs(call('LRANGE', k_ring(queue), 0, 255)) do
    if looked >= 256 then break end
    for class = 0, 2 do
      for _, number in ipairs(call('LRANGE', k_tenant(queue, tenant, class), 0, math.max(255 - looked, 0))) do
        looked = looked + 1
        heads[#heads + 1] = call('LINDEX', k_lane(number), 0) or nil -- the list of a forgotten lane is gone
      end
    end
  end
  for _, number in ipairs(call('HRANDFIELD', PARKED_ON, 32)) do
    local lane = lane_of(number)
    local head = lane and lane.queue == queue and call('LINDEX', k_lane(number), 0)
    if head then heads[#heads + 1] = head end
  end
  local runs, oldest = get_many(RUNS, heads), nil
  for i, raw in ipairs(get_many(JOBS, heads)) do
    if raw and not runs[i] and string.byte(raw, 2) == AVAILABLE then
      local run = unpack_from('>I6', raw, 28)
      if not oldest or run < oldest then oldest = run end
    end
  end
  if oldest then
    ages[#ages + 1] = queue
    ages[#ages + 1] = math.max(0, now - oldest)
  end
end
return { counters, call('SMEMBERS', PAUSED), ages }
