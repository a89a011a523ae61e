-- Wakes lanes that wait for a scope that may have room: the oldest first, as many as there are units and as there is time for.
-- One that finds no use for its unit passes it on, and the last one tells when it leaves room (claims.lua): so whoever is woken
-- has the others woken by the turn that visits it. If nobody visits one of a queue for LINGERS_FOR, no worker seems to serve the
-- queue: until it is visited, lanes of the queue are woken, but the units are for those after them. Workers of a queue that live
-- and are busy serve it; but no unit waits for them longer than BUSY_FOR. A line of which nobody was woken for lack of time is
-- looked at by the next step of maintenance.
local wake_waiters, pass_on_wakes
-- Most calls free nothing that anybody waits for, and define none of it.
local function define_waking()
  local MOST_TRIES = 64
  -- So many lanes are looked at in any case, and so many between two looks at the clock.
  local IN_A_SLICE = 8
  local looked, late
  local function may_go_on()
    late = late or (looked > 0 and looked % IN_A_SLICE == 0 and not has_time())
    return not late
  end

  -- In `lingering`, by queue: a lane of it that was woken, as `number place since`. It lingers as long as `woken` says the same of it.
  local LINGERING, LINGERS_FOR, BUSY_FOR, FORGOTTEN_AFTER = P .. 'lingering', 5000, 60000, 600000
  local some_linger
  -- The lane of a queue that lingers, and since when.
  local function lingerer_of(queue)
    if some_linger == nil then some_linger = call('EXISTS', LINGERING) == 1 end
    local found = some_linger and call('HGET', LINGERING, queue)
    if not found then return end
    local number, place, since = string.match(found, '^(%S+) (%S+) (%S+)$')
    since = tonumber(since)
    if since <= now and call('HGET', WOKEN, number) == place then return number, since end
  end

  -- By queue, whether nobody serves it, as far as one can see.
  local deserted = {}
  local function is_deserted(queue)
    if deserted[queue] == nil then
      local _, since = lingerer_of(queue)
      local waited = since and now - since or 0
      deserted[queue] = waited >= BUSY_FOR
        or waited >= LINGERS_FOR and tonumber(call('HGET', P .. 'served', queue) or 0) <= now
    end
    return deserted[queue]
  end

  -- A lane in a queue or under a rule that is paused is put into its ring, but the unit is for the next.
  local function can_use(number)
    local lane = lane_of(number)
    return call('SISMEMBER', PAUSED, lane.queue) == 0 and not rule_of(lane.base).paused and not is_deserted(lane.queue)
  end

  -- Puts a woken lane at the head of its ring, behind those that were woken before and have not been visited. `after` has the
  -- last one that this call put into a ring, by its key.
  local function enter_in_order(number, place, after)
    local lane = lane_of(number)
    local key = k_tenant(lane.queue, lane.tenant, lane.priority)
    if after[key] then
      call('LINSERT', key, 'AFTER', after[key], number)
    else
      for i = 0, MOST_WOKEN do
        local other = call('LINDEX', key, i)
        local before = other and call('HGET', WOKEN, other)
        if not other or i == MOST_WOKEN or not before or tonumber(before) > place then
          if i == 0 then enter_ring(number, lane, true)
          elseif other then call('LINSERT', key, 'BEFORE', other, number)
          else enter_ring(number, lane) end
          break
        end
      end
    end
    after[key] = number
  end

  local function wake_line(id, units)
    local line = k_waiters(id)
    local room, till, again, again_till = room_of(id)
    local after, used, tries = {}, 0, 0
    line_kept = nil
    while used < math.min(units, MOST_WOKEN) and tries < MOST_TRIES and may_go_on() do
      local first = call('ZRANGE', line, 0, 0, 'WITHSCORES')
      local number, place = first[1], tonumber(first[2])
      if not number then break end
      local left = (place < 0 and again or room) - used
      if left <= 0 then
        local at = place < 0 and again_till or till
        if used == 0 and at < FAR then call('ZADD', PARKED, 'LT', math.max(at, now + 1), id) end
        break
      end
      tries, looked = tries + 1, looked + 1
      call('ZREM', line, number)
      call('HDEL', PARKED_ON, number)
      local lane = lane_of(number)
      if lane then
        count(lane.queue, 'p', -1)
        if call('EXISTS', k_lane(number)) == 1 then
          enter_in_order(number, place, after)
          call('HSET', WOKEN, number, string.format('%.0f', place))
          if can_use(number) then used = used + 1 end
        end
      end
    end
    -- So is the rest of a long line that is of no use.
    if tries == MOST_TRIES or (late and used == 0) then call('ZADD', PARKED, 'LT', now, id) end
  end

  -- A queue or lane may be paused after one of its lanes was woken: the unit is for the next, too. So it is if nobody serves the
  -- queue; of such lanes only the one that shows it keeps its place.
  function pass_on_wakes(most)
    for _, number in ipairs(call('HRANDFIELD', WOKEN, most)) do
      local lane = lane_of(number)
      if not lane then
        call('HDEL', WOKEN, number)
      else
        local lingerer = lingerer_of(lane.queue)
        if not lingerer then
          call('HSET', LINGERING, lane.queue, concat({ number, call('HGET', WOKEN, number), digits[now] }, ' '))
          call('PEXPIRE', LINGERING, FORGOTTEN_AFTER)
          some_linger = true
        end
        if not can_use(number) then
          pass_on(lane.scopes)
          local is_paused = call('SISMEMBER', PAUSED, lane.queue) == 1
          if is_deserted(lane.queue) and not is_paused and lingerer ~= number then call('HDEL', WOKEN, number) end
        end
      end
    end
  end

  function wake_waiters()
    if next(freed) and lines_stand == nil then lines_stand = call('EXISTS', PARKED_ON) == 1 end
    if not lines_stand then freed = {} end
    local ids, lines = {}, {}
    looked, late = 0, false
    for id in pairs(freed) do
      ids[#ids + 1] = id
      lines[#lines + 1] = k_waiters(id)
    end
    for from = 1, #ids, 256 do
      local till = math.min(from + 255, #ids)
      if call('EXISTS', unpack(lines, from, till)) > 0 then
        for i = from, till do
          if call('EXISTS', lines[i]) == 1 then
            if may_go_on() then wake_line(ids[i], freed[ids[i]]) else call('ZADD', PARKED, 'LT', now, ids[i]) end
          end
        end
      end
    end
    freed = {}
  end
end
function wake_waiters()
  if not next(freed) then return end
  define_waking()
  return wake_waiters()
end
function pass_on_wakes(most)
  define_waking()
  return pass_on_wakes(most)
end
