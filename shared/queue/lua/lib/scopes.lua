-- Scopes limit lanes. An open reservation counts in the current window whatever happens, because it may still land there.
local FAR = 4000000000000 -- the year 2096: parked until an event
local scopes = {}

-- The caps of a scope, decoded once per call: {limit, {start, end, ...}}.
local function read_caps(raw)
  local caps, total, pos = {}, unpack_from('>B', raw)
  for i = 1, total do
    local limit, windows
    limit, windows, pos = unpack_from('>I6B', raw, pos)
    local cap = { limit = limit }
    for w = 1, windows do
      cap[2 * w - 1], cap[2 * w], pos = unpack_from('>I6I6', raw, pos)
    end
    caps[i] = cap
  end
  return caps
end

local function scope_of(id)
  local scope = scopes[id]
  if scope == nil then
    local fields = call('HMGET', k_scope(id), 'caps', 'paused', 'open')
    if fields[1] then
      scope = { caps = read_caps(fields[1]), paused = fields[2] == '1', open = tonumber(fields[3] or 0) }
    else
      scope = false
    end
    scopes[id] = scope
  end
  return scope
end

-- How many more jobs the scope allows now, and until when it is no use to ask again unless something happens to it.
local function room_of(id)
  local scope = scope_of(id)
  if not scope or scope.paused then return 0, FAR end
  local room, till = 1000000, now
  for i, cap in ipairs(scope.caps) do
    local from, next_start
    for w = 1, #cap, 2 do
      if cap[w] <= now and now < cap[w + 1] then from = w end
      if cap[w] > now and not next_start then next_start = cap[w] end
    end
    if from then
      local used = tonumber(call('HGET', k_scope(id), 'u:' .. i .. ':' .. cap[from]) or 0)
      local left = cap.limit - used - scope.open
      if left < room then room = left end
      if left <= 0 then till = math.max(till, cap[from + 1]) end
    else
      room = 0
      till = math.max(till, next_start or FAR)
    end
  end
  return room, till
end

local function lane_room(lane)
  local room, till, blocking = 1000000, now, nil
  for _, id in ipairs(lane.scopes) do
    local r, t = room_of(id)
    if r < room then room = r end
    if r <= 0 then
      blocking = blocking or id
      till = math.max(till, t)
    end
  end
  return room, till, blocking
end

local function reserve(lane, units)
  for _, id in ipairs(lane.scopes) do
    scope_of(id).open = call('HINCRBY', k_scope(id), 'open', units)
  end
end

local function park(number, lane, till, scope)
  if call('ZADD', PARKED, till, number) == 1 then count(lane.queue, 'p', 1) end
  call('HSET', PARKED_ON, number, scope)
  call('ZADD', k_waiters(scope), now, number)
end

-- Scopes that may have room for a waiter, looked at once at the end of the call.
local freed = {}
local function wake_waiters()
  for id, units in pairs(freed) do
    local room = room_of(id)
    local most = math.min(room, units, 32)
    if most > 0 then
      local popped = call('ZPOPMIN', k_waiters(id), most)
      for i = 1, #popped, 2 do unpark(popped[i]) end
    end
  end
end

-- Ends the reservation of a record. `use`: 'u' used at `at`, 'n' not used, '?' nobody knows.
local function settle(r, use, at)
  if not r.reserved then return end
  local lane = lane_of(r.lane)
  for _, id in ipairs(lane and lane.scopes or {}) do
    local scope = scope_of(id)
    if scope then
      scope.open = call('HINCRBY', k_scope(id), 'open', -1)
      if scope.open < 0 then
        call('HSET', k_scope(id), 'open', 0)
        scope.open = 0
      end
      local from, till = r.reserved, now
      if use == 'u' then
        from = math.min(math.max(at, r.reserved), now)
        till = from
      end
      if use ~= 'n' then
        for i, cap in ipairs(scope.caps) do
          for w = 1, #cap, 2 do
            if cap[w] <= till and from < cap[w + 1] then
              call('HINCRBY', k_scope(id), 'u:' .. i .. ':' .. cap[w], 1)
            end
          end
        end
      end
      freed[id] = (freed[id] or 0) + 1
    end
  end
  r.reserved = nil
end
