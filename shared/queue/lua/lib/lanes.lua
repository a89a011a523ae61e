-- Lanes with waiting jobs stand in their tenant's ring, tenants with such lanes in their queue's ring. A lane is in the
-- ring exactly if its list is not empty and it is not parked, so that membership needs no look-up: whoever pushes the
-- first id into a list, or the first lane into a ring, adds the entry above.
local lanes = {}
local function read_lane(raw)
  local lane, pos, scopes = { scopes = {} }, nil, nil
  lane.queue, lane.tenant, lane.name, scopes, pos = unpack_from('>Hc0Hc0Hc0B', raw)
  for i = 1, scopes do
    local scope
    scope, pos = unpack_from('>Hc0', raw, pos)
    lane.scopes[i] = lane.tenant .. ':' .. scope
  end
  return lane
end

local function lane_of(number)
  number = tonumber(number)
  local lane = lanes[number]
  if lane == nil then
    local raw = call('HGET', LANES, number)
    lane = raw and read_lane(raw) or false
    lanes[number] = lane
  end
  return lane
end

-- Fetches many lanes at once into the cache.
local function load_lanes(numbers)
  local missing = {}
  for number in pairs(numbers) do
    if lanes[number] == nil then missing[#missing + 1] = number end
  end
  if #missing > 0 then
    local raws = {}
    for from = 1, #missing, 256 do
      local part = call('HMGET', LANES, unpack(missing, from, math.min(from + 255, #missing)))
      for i = 1, #part do raws[from + i - 1] = part[i] end
    end
    for i = 1, #missing do lanes[missing[i]] = raws[i] and read_lane(raws[i]) or false end
  end
end

local woken = {}
-- Tells one idle worker of a queue that there is work. Who is not there to hear it is passed over.
local function wake(queue)
  for _ = 1, 16 do
    local entry = call('ZRANGEBYLEX', IDLE, '[' .. queue .. '\0', '(' .. queue .. '\1', 'LIMIT', 0, 1)[1]
    if not entry then return end
    call('ZREM', IDLE, entry)
    if call('PUBLISH', channel_worker(sub(entry, -16)), SHARD) > 0 then return end
  end
end

local function enter_ring(number, lane)
  if call('RPUSH', k_tenant(lane.queue, lane.tenant), number) == 1 then
    if call('RPUSH', k_ring(lane.queue), lane.tenant) == 1 then woken[lane.queue] = true end
  end
end

local function unpark(number)
  if call('ZREM', PARKED, number) == 0 then return false end
  local scope = call('HGET', PARKED_ON, number)
  if scope then
    call('HDEL', PARKED_ON, number)
    call('ZREM', k_waiters(scope), number)
  end
  local lane = lane_of(number)
  if lane then
    count(lane.queue, 'p', -1)
    if call('EXISTS', k_lane(number)) == 1 then enter_ring(number, lane) end
  end
  return true
end

-- Appends ids to a lane (or puts them at its head), and the lane into the ring if it was empty.
local function push(number, ids, at_head)
  local lane = lane_of(number)
  local length = call_many(at_head and 'LPUSH' or 'RPUSH', k_lane(number), ids, 256)
  if length == #ids then
    count(lane.queue, 'l', 1)
    enter_ring(number, lane)
  end
end

-- Makes jobs available: suspects wait apart (suspect.lua), all others in their lane. `jobs` is a list of {id, record}; records are
-- not written here. A job with an open reservation may go on although its lane waits for the scope, so it unparks it.
local function make_available(jobs, at_head)
  local by_lane, reserved = {}, {}
  local first, last, step = 1, #jobs, 1
  if at_head then first, last, step = #jobs, 1, -1 end
  for i = first, last, step do
    local id, r = jobs[i][1], jobs[i][2]
    local lane = lane_of(r.lane)
    if lane then
      count(lane.queue, 'a', 1)
      if r.crashes >= SUSPECT_FROM then
        if call('RPUSH', k_suspects(lane.queue), id) == 1 then call('SADD', SUSPECTED, lane.queue) end
      else
        local ids = by_lane[r.lane]
        if not ids then ids = {}; by_lane[r.lane] = ids end
        ids[#ids + 1] = id
        if r.reserved then reserved[r.lane] = true end
      end
    end
  end
  for number, ids in pairs(by_lane) do
    push(number, ids, at_head)
    if reserved[number] then unpark(number) end
  end
end

-- A record is gone: the lane it named may be forgotten once no record names it.
local function drop_lane_refs(refs)
  for number, by in pairs(refs) do
    if call('HINCRBY', LANE_REFS, number, -by) <= 0 then
      local raw = call('HGET', LANES, number)
      call('HDEL', LANE_REFS, number)
      call('HDEL', LANES, number)
      if raw then call('HDEL', LANE_IDS, raw) end
      local lane = lane_of(number)
      if lane and call('DEL', k_lane(number)) == 1 then count(lane.queue, 'l', -1) end
      unpark(number)
    end
  end
end

-- What fragments write once, at the end of a call.
local at_end = {}

-- The last thing every writing script does: counters, and messages to those who wait.
local function finish()
  for _, write in ipairs(at_end) do write() end
  for field, by in pairs(counted) do
    if by ~= 0 then call('HINCRBY', COUNTS, field, by) end
  end
  for queue in pairs(woken) do wake(queue) end
  if #changed > 0 then call('PUBLISH', channel_events(), concat(changed)) end
end
