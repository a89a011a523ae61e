-- Lanes with waiting jobs stand in their tenant's ring, tenants with such lanes in their queue's ring. A lane is in the
-- ring exactly if its list is not empty and it is not parked, so that membership needs no look-up: whoever pushes the
-- first id into a list, or the first lane into a ring, adds the entry above. A tenant has a list of lanes per priority.
local lanes = {}
local function read_lane(raw)
  -- The lane's own name is of no interest here: that is not made a string.
  local queue, tenant, name_len, pos = unpack_from('>Hc0Hc0H', raw)
  pos = pos + name_len
  local total, scopes = string.byte(raw, pos), nil
  pos = pos + 1
  if total == 1 then
    local scope
    scope, pos = unpack_from('>Hc0', raw, pos)
    scopes = { tenant .. ':' .. scope }
  else
    scopes = {}
    for i = 1, total do
      local scope
      scope, pos = unpack_from('>Hc0', raw, pos)
      scopes[i] = tenant .. ':' .. scope
    end
  end
  -- A byte more is the priority; without it, the lane is known to its rule.
  local priority = string.byte(raw, pos)
  return { raw = raw, queue = queue, tenant = tenant, scopes = scopes, priority = priority or 0,
    base = priority and sub(raw, 1, pos - 1) or raw, cancelled = 0, picked = false }
end

local function lane_of(number)
  local lane = lanes[number]
  if lane ~= nil then return lane end
  number = tonumber(number)
  lane = lanes[number]
  if lane == nil then
    local raw = call('HGET', LANES, number)
    lane = raw and read_lane(raw) or false
    lanes[number] = lane
  end
  return lane
end

-- Fetches many lanes at once into the cache.
local function load_lanes(numbers)
  local missing, names, n = {}, {}, 0
  for _, name in ipairs(numbers) do
    local number = tonumber(name)
    if lanes[number] == nil then
      n = n + 1
      -- As text, which Redis takes far longer to make of a number.
      missing[n], names[n] = number, name == number and string.format('%d', number) or name
      lanes[number] = false
    end
  end
  for from = 1, n, 256 do
    for i, raw in ipairs(call('HMGET', LANES, unpack(names, from, math.min(from + 255, n)))) do
      if raw then lanes[missing[from + i - 1]] = read_lane(raw) end
    end
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

-- A tenant's list of lanes of this one's priority is no longer empty.
local function enter_tenant(lane)
  local queue, tenant, class = lane.queue, lane.tenant, lane.priority
  if call('EXISTS', k_tenant(queue, tenant, (class + 1) % 3), k_tenant(queue, tenant, (class + 2) % 3)) == 0 then
    if call('RPUSH', k_ring(queue), tenant) == 1 then woken[queue] = true end
  end
end

local function enter_ring(number, lane, at_head)
  local key = k_tenant(lane.queue, lane.tenant, lane.priority)
  local length = call(at_head and 'LPUSH' or 'RPUSH', key, number)
  if length == 1 then enter_tenant(lane) end
  return key, length
end

-- What operators said of a lane, whatever its priority: paused, weight, and until when its jobs were cancelled.
local RULE = '>BHI6'
local function rule_of(base)
  local raw = call('HGET', RULES, 'L' .. base)
  if not raw then return { weight = 1, cancelled = 0 } end
  local paused, weight, cancelled = unpack_from(RULE, raw)
  return { paused = paused == 1, weight = weight, cancelled = cancelled }
end

local function write_rule(base, rule)
  if not rule.paused and rule.weight == 1 and rule.cancelled == 0 then return call('HDEL', RULES, 'L' .. base) end
  call('HSET', RULES, 'L' .. base, pack(RULE, rule.paused and 1 or 0, rule.weight, rule.cancelled))
end

-- A lane in all priorities, as its names are recorded.
local function variants(base) return { base, base .. '\1', base .. '\2' } end

-- Lanes that are paused wait here as if for a scope.
local function pause_of(base) return '\0' .. base end

-- Appends ids to a lane (or puts them at its head), and the lane into the ring if it was empty.
local function push(number, ids, at_head)
  local lane = lane_of(number)
  local length = call_many(at_head and 'LPUSH' or 'RPUSH', k_lane(number), ids, 256)
  if length == #ids then
    count(lane.queue, 'l', 1)
    local ring, in_ring = enter_ring(number, lane)
    if in_ring > LONG_RING then put_first(P, ring, { number }, { #ids }) end
  end
end

-- Appends ids to many lanes, given as a list of number and ids in turn: what enters the same ring enters it at once.
local function push_all(lists)
  local entering, keys = {}, {}
  for i = 1, #lists, 2 do
    local number, ids = lists[i], lists[i + 1]
    local lane = lane_of(number)
    if call_many('RPUSH', k_lane(number), ids, 256) == #ids then
      count(lane.queue, 'l', 1)
      local key = k_tenant(lane.queue, lane.tenant, lane.priority)
      local ring = entering[key]
      if not ring then
        ring = { lane = lane, jobs = {} }
        entering[key], keys[#keys + 1] = ring, key
      end
      ring[#ring + 1], ring.jobs[#ring + 1] = number, #ids
    end
  end
  for _, key in ipairs(keys) do
    local ring = entering[key]
    local length = call_many('RPUSH', key, ring, 256)
    if length == #ring then enter_tenant(ring.lane) elseif length > LONG_RING then put_first(P, key, ring, ring.jobs) end
  end
end

-- What fragments write once, at the end of a call.
local at_end = {}

-- The last thing every writing script does: counters, and messages to those who wait.
local function finish()
  for _, write in ipairs(at_end) do write() end
  for queue, states in pairs(counted) do
    for state, by in pairs(states) do
      if by ~= 0 then call('HINCRBY', COUNTS, queue .. ':' .. state, by) end
    end
  end
  for queue in pairs(woken) do wake(queue) end
  if #changed > 0 then call('PUBLISH', channel_events(), concat(changed)) end
end
