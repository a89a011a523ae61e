-- Lanes that wait for a scope that could not give: each stands in the scope's line by the time it came, `parked_on` names the
-- scope, and `parked` has the scope by the time it may give again, so that a time wakes only the first in the line. And what
-- jobs that become available, or end, do to their lanes.

local FAR = 4000000000000 -- the year 2096: parked until an event
-- One whose first job brings its reservation along goes before all that need room in a cap: it may go on when they may not.
local FIRST_IN_LINE = -10000000000000
local line_kept
-- Whether any lane waits for anything, once it was asked. Without, nobody need be told of what comes free: who finds no room later
-- in the call has seen that.
local lines_stand
-- The place in the line of a lane that was woken, until it is visited: woken in vain, it stands there again.
local function place_of(number)
  if line_kept == nil then line_kept = call('EXISTS', WOKEN) == 1 end
  local place = line_kept and call('HGET', WOKEN, number)
  if place then call('HDEL', WOKEN, number) end
  return place and tonumber(place)
end

local function park(number, lane, till, scope, place)
  if call('HSET', PARKED_ON, number, scope) == 1 then count(lane.queue, 'p', 1) end
  lines_stand = true
  call('ZADD', k_waiters(scope), place or now, number)
  if till < FAR then call('ZADD', PARKED, 'LT', till, scope) end
end

-- Returns whether the lane was parked and has work.
local function unpark(number, at_head)
  local scope = call('HGET', PARKED_ON, number)
  if not scope then return false end
  call('HDEL', PARKED_ON, number)
  call('ZREM', k_waiters(scope), number)
  local lane = lane_of(number)
  if lane then
    count(lane.queue, 'p', -1)
    if call('EXISTS', k_lane(number)) == 1 then
      enter_ring(number, lane, at_head)
      return true
    end
  end
  return false
end

-- Units by which a scope may have more room than before; its waiters are woken at the end of the call (waking.lua).
local freed = {}
local MOST_WOKEN = 32
local function free(scope, units)
  if lines_stand == nil then lines_stand = call('EXISTS', PARKED_ON) == 1 end
  if lines_stand then freed[scope] = (freed[scope] or 0) + units end
end

-- Whoever is in line for these scopes may try, except for the one that is known to have nothing.
local function pass_on(scopes_of, except)
  if lines_stand == nil then lines_stand = call('EXISTS', PARKED_ON) == 1 end
  if not lines_stand then return end
  for _, id in ipairs(scopes_of) do
    if id ~= except then freed[id] = MOST_WOKEN end
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
        local lists = r.reserved and reserved or by_lane
        local ids = lists[r.lane]
        if not ids then ids = {}; lists[r.lane] = ids end
        if r.reserved and not at_head then table.insert(ids, 1, id) else ids[#ids + 1] = id end
      end
    end
  end
  for number, ids in pairs(by_lane) do push(number, ids, at_head) end
  -- One with its unit may go on when nobody else may.
  for number, ids in pairs(reserved) do
    push(number, ids, true)
    unpark(number)
  end
end

-- A record is gone: the lane it named may be forgotten once no record names it. Ids that stepped aside from it are looked at first
-- (recipients.lua): they are counted in its queue.
local function drop_lane_refs(refs)
  for number, by in pairs(refs) do
    if call('HINCRBY', LANE_REFS, number, 0 - by) > 0 then
      -- it is named
    elseif call('EXISTS', P .. 'asides:' .. number) == 1 then
      call('ZADD', P .. 'aside_till', now, 'C' .. number)
    else
      local raw = call('HGET', LANES, number)
      call('HDEL', LANE_REFS, number)
      call('HDEL', LANES, number)
      if raw then call('HDEL', LANE_IDS, raw) end
      call('HDEL', CREDITS, 'L' .. number)
      local lane = lane_of(number)
      if lane and call('DEL', k_lane(number)) == 1 then
        count(lane.queue, 'l', -1)
        call('HDEL', AHEAD, number)
      end
      if lane and call('HEXISTS', RULES, 'L' .. lane.base) == 1 then
        local known = call('HMGET', LANE_IDS, unpack(variants(lane.base)))
        local rule = rule_of(lane.base)
        if not (known[1] or known[2] or known[3]) and rule.cancelled > 0 then
          rule.cancelled = 0
          write_rule(lane.base, rule)
        end
      end
      unpark(number)
      place_of(number)
      if lane then pass_on(lane.scopes) end
    end
  end
end
