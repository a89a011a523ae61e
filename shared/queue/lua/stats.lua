-- Figures of the queues of a shard.
-- KEYS  1 jobs
-- ARGV  1 a queue, or empty for all
-- result  {counters by field, paused queues, queue and age of its oldest available job in ms, but of a paused tenant...}: three
--         flat lists
-- bounds  at most 64 queues; looks at the heads of at most 128 lanes, shared by the queues, but of one tenant's in each
local counters, queues, seen = call('HGETALL', COUNTS), {}, {}
for i = 1, #counters, 2 do
  local queue = string.match(counters[i], '^(.*):.$')
  if queue and not seen[queue] and #queues < 64 and (ARGV[1] == '' or ARGV[1] == queue) then
    seen[queue] = true
    queues[#queues + 1] = queue
  end
end

-- Nobody waits for what a paused tenant has.
local resting = {}
local function rests(tenant)
  if resting[tenant] == nil then resting[tenant] = call('SISMEMBER', P .. 'stopped', tenant) == 1 end
  return resting[tenant]
end

-- Lanes that wait for a scope, by their queue.
local MOST_LOOKS = 128
local parked, numbers = {}, call('HRANDFIELD', PARKED_ON, 32)
load_lanes(numbers)
for _, number in ipairs(numbers) do
  local lane = lane_of(number)
  if lane and not rests(lane.tenant) then
    local of_queue = parked[lane.queue] or {}
    parked[lane.queue] = of_queue
    of_queue[#of_queue + 1] = number
  end
end

-- Lanes of a ring that wait longest: the first of all, and the first of those that stand there in turn (precedence.lua).
local function some_of(ring, most)
  local last = call('HGET', AHEAD, sub(ring, #P + 1))
  local at = last and call('LPOS', ring, last)
  local lanes = call('LRANGE', ring, at and at + 1 or 0, (at or -1) + most)
  if at then table.insert(lanes, 1, call('LINDEX', ring, 0)) end
  return lanes
end

-- The first ids of as many lanes as a queue may be looked at.
local function heads_of(queue, most)
  local of_lanes = parked[queue] or {}
  local found = #of_lanes
  for _, tenant in ipairs(call('LRANGE', k_ring(queue), 0, most - 1)) do
    if #of_lanes - found >= most then break end
    for class = rests(tenant) and 3 or 0, 2 do
      for _, number in ipairs(some_of(k_tenant(queue, tenant, class), most)) do
        if #of_lanes - found >= most then break end
        of_lanes[#of_lanes + 1] = number
      end
    end
  end
  local heads = {}
  for _, number in ipairs(of_lanes) do
    heads[#heads + 1] = call('LINDEX', k_lane(number), 0) or nil -- the list of a forgotten lane is gone
  end
  return heads
end

local ages, most = {}, math.max(2, math.floor(MOST_LOOKS / #queues))
for _, queue in ipairs(queues) do
  local heads, oldest = heads_of(queue, most), nil
  local runs = get_many(RUNS, heads)
  for i, raw in ipairs(bases.get(heads)) do
    if raw and #raw >= HEAD_LEN and not runs[i] and string.byte(raw, 2) == AVAILABLE then
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
