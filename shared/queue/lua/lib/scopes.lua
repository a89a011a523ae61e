-- Scopes limit lanes: by caps, by a rate, by jobs in flight. Fields of a scope's hash:
--   limits  what was defined (wire/limits.rs)      paused  1 while paused
--   open    units reserved                         idle    of these, units of jobs that do not run: they crashed, and wait
--   tat     when the rate's debts are paid (µs)    u:S:E   sends used in the calendar window from S to E
--   opened  the closing of its shard's scopes after which it was opened (0 if absent); while there is a later one, it is closed.
--           `-` if it was closed alone, and not opened since      shut    how often that was
-- An open reservation counts in the current window of every cap, because it may still land there. Used sends of moving
-- windows stand in the sorted set `sent`, one member per unit, by the time it was used.
-- What a call changes of `open` and `idle` and its counters is written once, at its end.
local NO_BOUND = 1000000
local DAY_MS = 86400000
-- Whole numbers as text, which is slow to make.
local digits = setmetatable({}, {
  __index = function(made, number)
    made[number] = string.format('%d', number)
    return made[number]
  end,
})
-- And the way back: most scopes of a call have the same.
local numbers = setmetatable({}, {
  __index = function(made, text)
    made[text] = tonumber(text)
    return made[text]
  end,
})
local scopes, touched = {}, {}
-- How many times the scopes of this shard were closed, as text. Given a scope, the number of the closing that holds for it, and with
-- which alone it can be opened: it grows with those of the shard and with its own.
local closing
local function caps_closing(id)
  closing = closing or string.format('%d', closings_now())
  if not id then return closing end
  return string.format('%.0f', closing + tonumber(call('HGET', k_scope(id), 'shut') or 0) * 2 ^ 32)
end

-- The end of the call writes a scope that was touched: what it has then of the fields it was read with.
local function touch(scope)
  if scope.touched then return end
  scope.touched = true
  touched[#touched + 1] = scope
end

local function shift_open(scope, by)
  scope.open = math.max(scope.open + by, 0)
  touch(scope)
end

local function shift_idle(scope, by)
  scope.idle = math.max(scope.idle + by, 0)
  touch(scope)
end

-- A number that the scope's hash has in a field, read when it is needed first.
local function number_in(scope, field)
  local number = scope[field]
  if not number then
    number = tonumber(call('HGET', scope.key, field) or 0)
    scope[field] = number
  end
  return number
end

-- Adds units to the counter of a calendar window: a current one, or one of the past or the future.
local function add_used(scope, counter, units)
  if scope.is_current[counter] then
    scope[counter], scope.charged = number_in(scope, counter) + units, true
  else
    scope.elsewhere = scope.elsewhere or {}
    scope.elsewhere[counter] = (scope.elsewhere[counter] or 0) + units
  end
  touch(scope)
end

-- Units, by scope, whose jobs ended without using them: nothing else needs to be known of a scope, so it is not read for that.
local unused, simply = {}, {} -- simply.lua
-- Fields with numbers that scopes with the limits read last have. Most scopes are alike, and count in the same windows, so they
-- are read along with a scope.
local likely = {}
local function scope_of(id)
  local scope = scopes[id]
  if scope ~= nil then return scope end
  local key = k_scope(id)
  local fields = call('HMGET', key, 'limits', 'paused', 'open', 'idle', 'opened', unpack(likely))
  local raw, opened = fields[1], fields[5]
  scopes[id] = false
  if not raw then return false end
  local limits = limits_of[raw]
  if not limits then
    limits = read_limits(raw)
    limits_of[raw] = limits
  end
  local open, idle = numbers[fields[3] or '0'], numbers[fields[4] or '0']
  -- Without caps there is nothing that Redis could have forgotten.
  local closed = (opened or '0') ~= caps_closing() and (limits.capped or opened == '-')
  scope = setmetatable({
    id = id, key = key, paused = fields[2] == '1', closed = closed, open = open, open_was = open, idle = idle, idle_was = idle,
    touched = false, charged = false, elsewhere = false, later = false,
  }, limits.heirs)
  for i = 1, #likely do scope[likely[i]] = numbers[fields[5 + i] or '0'] end
  if limits.every > 0 then number_in(scope, 'tat') end
  likely, scopes[id] = limits.likely, scope
  if limits.simple and simply.limits == nil then simply.limits = limits end
  if unused[id] then
    shift_open(scope, -unused[id])
    unused[id] = nil
  end
  return scope
end

-- Units used in the current window of a cap. Reservations are not among them.
local function used_of(scope, cap)
  if cap.counter then return number_in(scope, cap.counter) end
  local used = scope[cap.length]
  if not used then
    used = call('ZCOUNT', k_sent(scope.id), '(' .. cap.from, '+inf')
    scope[cap.length] = used
  end
  return used
end

-- When a full cap may have room by the mere passing of time.
local function till_of_cap(scope, cap, used)
  if not cap.length then return cap.till or FAR end
  local till = cap.till or FAR
  local leaving = used + scope.open - cap.limit + 1
  if cap.limit > 0 and leaving <= used then
    local key = k_sent(scope.id)
    local entry = call('ZRANGE', key, call('ZCARD', key) - used + leaving - 1, call('ZCARD', key) - used + leaving - 1,
      'WITHSCORES')
    if entry[2] then till = math.min(till, tonumber(entry[2]) + cap.length) end
  end
  return till
end

-- How many units more the caps of a scope allow.
local function room_in_caps(scope)
  local room = NO_BOUND
  for _, cap in ipairs(scope.caps) do
    local left = cap.limit and cap.limit - used_of(scope, cap) - scope.open or 0
    if left < room then room = left end
  end
  return room
end

-- When a rate's debts are paid. They are no more than its burst, unless that was lowered since, or the clock was set back: then
-- they would grow by as much.
local function owed(tat, most)
  if tat > most and tonumber(call('HGET', META, 'back') or 0) > now then return most end
  return tat
end

-- How many more jobs the scope lets start now, until when it is no use to ask again unless something happens to it; and the
-- same for jobs that bring their reservation along, which need no room in a cap.
local function room_of(id)
  local scope = scope_of(id)
  if not scope then return 0, FAR, NO_BOUND, now end
  if scope.paused then return 0, FAR, 0, FAR end
  local again, again_till = NO_BOUND, now
  if scope.flights < 0xFFFFFFFF then
    again = scope.flights - math.max(scope.open - scope.idle, 0)
    if again <= 0 then again_till = FAR end
  end
  if scope.every > 0 then
    local present = now * 1000
    local tat = owed(scope.tat, present + scope.burst * scope.every)
    if tat < scope.tat then
      scope.tat, scope.later = tat, true
      touch(scope)
    end
    local starts = math.floor((present + scope.burst * scope.every - math.max(scope.tat, present)) / scope.every)
    if starts < again then again = starts end
    if starts <= 0 then
      again_till = math.max(again_till, math.ceil((scope.tat - (scope.burst - 1) * scope.every) / 1000))
    end
  end
  if scope.closed then return 0, FAR, again, again_till end
  local till = again_till
  for _, cap in ipairs(scope.caps) do
    if not cap.limit then
      till = math.max(till, cap.till or FAR)
    elseif cap.limit - used_of(scope, cap) - scope.open <= 0 then
      till = math.max(till, till_of_cap(scope, cap, used_of(scope, cap)))
    end
  end
  return math.min(again, room_in_caps(scope)), till, again, again_till
end

-- Whether so many more jobs of a lane may start now, whomever they are for: all that needs to be known of most lanes.
local function has_room(lane, jobs)
  for _, id in ipairs(lane.scopes) do
    local scope = scope_of(id)
    if not scope or scope.paused or scope.closed or scope.keyed or room_in_caps(scope) < jobs then return false end
    if scope.paced and select(3, room_of(id)) < jobs then return false end
  end
  return true
end

-- The same for a lane, with the first of its scopes that has no room and until when that has none, for either kind of job. (Not
-- until when any has none: it waits in the line of the first, and sees what the others say when that gives.)
local function lane_room(lane)
  local room, till, blocking = NO_BOUND, now, nil
  local again, again_till, again_blocking = NO_BOUND, now, nil
  lane.keyed = false
  for _, id in ipairs(lane.scopes) do
    local r, t, a, at = room_of(id)
    lane.keyed = lane.keyed or scopes[id] and scopes[id].keyed
    if r < room then room = r end
    if r <= 0 and not blocking then blocking, till = id, t end
    if a < again then again = a end
    if a <= 0 and not again_blocking then again_blocking, again_till = id, at end
  end
  return room, till, blocking, again, again_till, again_blocking
end

at_end[#at_end + 1] = function()
  for _, scope in ipairs(touched) do
    local charged = scope.charged
    local counter = charged and scope.counters[1]
    if scope.idle ~= scope.idle_was or scope.later or (charged and scope.counters[2]) then
      local fields = { 'open', digits[scope.open] }
      for i = 1, charged and #scope.counters or 0 do
        fields[2 * i + 1], fields[2 * i + 2] = scope.counters[i], digits[number_in(scope, scope.counters[i])]
      end
      if scope.idle ~= scope.idle_was then fields[#fields + 1], fields[#fields + 2] = 'idle', digits[scope.idle] end
      if scope.later then fields[#fields + 1], fields[#fields + 2] = 'tat', string.format('%.0f', scope.tat) end
      call('HSET', scope.key, unpack(fields))
    elseif counter then
      call('HSET', scope.key, 'open', digits[scope.open], counter, digits[number_in(scope, counter)])
    elseif scope.open ~= scope.open_was then
      call('HSET', scope.key, 'open', digits[scope.open])
    end
    if scope.elsewhere then
      for window, units in pairs(scope.elsewhere) do call('HINCRBY', scope.key, window, units) end
    end
  end
  for id, units in pairs(unused) do
    local open = call('HINCRBY', k_scope(id), 'open', -units)
    if open < 0 then call('HINCRBY', k_scope(id), 'open', -open) end -- nothing was reserved there
  end
  touched, unused = {}, {}
end

-- Jobs of a lane start: so many that reserve a unit each, and so many that bring theirs along. Fewer than none takes it back.
local function reserve(lane, fresh, inherited)
  for _, id in ipairs(lane.scopes) do
    local scope = scope_of(id)
    if scope then
      if fresh ~= 0 then shift_open(scope, fresh) end
      if inherited ~= 0 then shift_idle(scope, -inherited) end
      if scope.every > 0 then
        scope.tat, scope.later = math.max(scope.tat, now * 1000) + (fresh + inherited) * scope.every, true
        touch(scope)
      end
    end
  end
end

-- Charges units of which each was used in this time, or at one instant of it that nobody knows.
local function charge(scope, from, till, units)
  local seen
  for _, cap in ipairs(scope.caps) do
    if cap.counter and from >= cap.from and till < cap.till then
      if not (seen and seen[cap.counter]) then
        if #scope.caps > 1 then seen = seen or {}; seen[cap.counter] = true end
        add_used(scope, cap.counter, units)
      end
    elseif not cap.length then
      for at = cap.at, cap.at + 18 * (cap.entries - 1), 18 do
        local starts, ends = unpack_from('>I6I6', scope.raw, at)
        if starts > till then break end
        local counter = counter_of(starts, ends)
        if from < ends and not (seen and seen[counter]) then
          seen = seen or {}
          seen[counter] = true
          add_used(scope, counter, units)
        end
      end
    end
  end
  if scope.longest > 0 then
    -- Units used in the same millisecond are numbered, so that a book that knows how many they were can say so again.
    local key, entries = k_sent(scope.id), {}
    local first = call('ZCOUNT', key, till, till)
    for n = 1, units do entries[2 * n - 1], entries[2 * n] = till, pack('>I6I4', till, first + n - 1) end
    call_many('ZADD', key, entries, 400)
    for _, cap in ipairs(scope.caps) do
      if cap.length and till > cap.from and scope[cap.length] then
        scope[cap.length] = scope[cap.length] + units
      end
    end
    if not scope.trimmed then
      scope.trimmed = true
      local kept = math.max(scope.longest, DAY_MS)
      local gone = call('ZRANGEBYSCORE', key, '-inf', now - kept, 'LIMIT', 0, 64)
      if #gone > 0 then call('ZREM', key, unpack(gone)) end
      call('PEXPIRE', key, kept + DAY_MS)
    end
  end
end

-- Ends the reservations of so many jobs of a lane that ran and are for no recipient. So many of their units were used now.
local function settle_units(lane, units, used)
  for _, id in ipairs(lane.scopes) do
    if used == units and simply.settle(id, units) then
      free(id, units)
    else
      local scope = scopes[id]
      if used > 0 then scope = scope_of(id) end
      if scope then
        shift_open(scope, -units)
        if used > 0 then charge(scope, now, now, used) end
      elseif scope == nil then
        unused[id] = (unused[id] or 0) + units
      end
      if scope ~= false then free(id, units) end
    end
  end
end

local settle_recipient -- recipients.lua

-- Ends the reservation of a record. `use`: 'u' used at `at`, 'n' not used, '?' nobody knows.
local function settle(r, use, at)
  if not r.reserved then return end
  local lane, recipient = lane_of(r.lane), r.more and field_of(r.more, 'k')
  for _, id in ipairs(lane and lane.scopes or {}) do
    local scope = scope_of(id)
    if scope then
      shift_open(scope, -1)
      if r.state ~= RUNNING then shift_idle(scope, -1) end
      local from, till = math.min(r.reserved, now), now
      if use == 'u' then
        from = math.min(math.max(at, r.reserved), now)
        till = from
      end
      if use ~= 'n' then charge(scope, from, till, 1) end
      if recipient then settle_recipient(scope, recipient, use ~= 'n' and till) end
      free(id, 1)
    end
  end
  r.reserved = nil
end

-- A job stops running and keeps its reservation for the next run. Another job may run meanwhile.
local function put_by(r)
  if not r.reserved then return end
  local lane = lane_of(r.lane)
  for _, id in ipairs(lane and lane.scopes or {}) do
    local scope = scope_of(id)
    if scope then
      shift_idle(scope, 1)
      if scope.flights < 0xFFFFFFFF then free(id, 1) end
    end
  end
end
