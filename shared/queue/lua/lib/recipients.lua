-- Limits that concern one recipient, not a whole lane: a rate for each, and caps of unique recipients. Jobs carry an opaque
-- recipient of 16 bytes (field `k` of the section `more`). Per scope:
--   people:S     zset  recipient by the time it was last used, or OPEN while a unit for it is reserved
--   opens:S      hash  of those, recipient -> units reserved, and the time it was last used before
--   pairs:S      zset  recipient by the time when its debts to the rate are paid (µs)
-- They are kept for every job with a recipient, so that a limit defined later knows them. Of a scope that nobody uses any more all
-- of it goes in time, but never while a unit is reserved or a window that it counts in lasts.
--
-- A job without room for its recipient steps aside into a list of its lane and recipient, and the lane goes on. At most one job of
-- a list is on its way back at a time, at the head of its lane, so that those of a recipient keep their order. A list that is
-- not empty always has one of these:
--   aside_till   zset  K lane:recipient by the time to look again; or S scope, a timer for its newcomers; or C lane, that
--                      was cancelled
--   newcomers:S  zset  lane:recipient by age: new recipients, while a cap of S is full; woken as units come free
--   byname:S     zset  of these, recipient and lane, in this order: who becomes known through one lane is no newcomer in others
--   aside_back   hash  id -> lane:recipient: the job on its way back; whoever meets it looks after the list
-- Its names stand in one table, because a script may have at most 200 local variables outside of functions.
-- look_at: scopes whose newcomers are looked at, once at the end of the call.
local recipients = { skips = 0, look_at = {}, MOST_SKIPS = 32, BACK = P .. 'aside_back' }
-- These jobs are gone. Those that were on their way back nobody will meet any more.
function recipients.are_gone(ids)
  if #ids == 0 or call('EXISTS', recipients.BACK) == 0 then return end
  for i, entry in ipairs(get_many(recipients.BACK, ids)) do
    if entry then recipients.met_back(ids[i], entry) end
  end
end
-- All else stands in it as soon as anything else of it is asked for: to define a function takes Lua as long as a look-up, and most
-- calls need none of these.
local function define_recipients()
  local function k_people(scope) return P .. 'people:' .. scope end
  local function k_opens(scope) return P .. 'opens:' .. scope end
  local function k_pairs(scope) return P .. 'pairs:' .. scope end
  local function k_newcomers(scope) return P .. 'newcomers:' .. scope end
  local function k_byname(scope) return P .. 'byname:' .. scope end
  local function k_aside(entry) return P .. 'aside:' .. entry end
  local function k_asides(number) return P .. 'asides:' .. number end
  local ASIDE_TILL, ASIDE_BACK = P .. 'aside_till', recipients.BACK
  local OPEN = 281474976710655
  recipients.OPEN, recipients.TILL = OPEN, ASIDE_TILL
  recipients.k_people, recipients.k_opens, recipients.k_newcomers = k_people, k_opens, k_newcomers

  function recipients.least_of(cap)
    return cap.counter and cap.from or '(' .. string.format('%.0f', cap.from)
  end

  -- How many recipients more each of a scope's caps of unique recipients allows.
  local function people_left(scope)
    if not scope.left then
      scope.left = {}
      for i, cap in ipairs(scope.people) do
        scope.left[i] = cap.limit and cap.limit - call('ZCOUNT', k_people(scope.id), recipients.least_of(cap), '+inf') or 0
      end
    end
    return scope.left
  end

  local function is_known(cap, score)
    return score and cap.limit and (score > cap.from or cap.counter and score == cap.from)
  end

  -- When a scope may have room for a newcomer by the mere passing of time.
  local function till_of_people(scope)
    local till, key = now, k_people(scope.id)
    for i, left in ipairs(people_left(scope)) do
      local cap = scope.people[i]
      if left <= 0 then
        local mine = cap.till or FAR
        if cap.length and cap.limit > 0 then
          local place = call('ZCOUNT', key, '-inf', cap.from) - left
          local entry = call('ZRANGE', key, place, place, 'WITHSCORES')
          local score = tonumber(entry[2] or OPEN)
          if score < OPEN then mine = math.min(mine, score + cap.length) end
        end
        till = math.max(till, mine)
      end
    end
    return till
  end

  function recipients.of(raw)
    local r = (string.byte(raw, 3) or 0) >= HAS_MORE and open_record(raw)
    return r and field_of(r.more, 'k')
  end

  -- How many jobs for a recipient may start now; if none, until when it is no use to ask again, or the scope whose cap is full.
  function recipients.room(lane, recipient)
    local room, till, full = NO_BOUND, now, nil
    for _, id in ipairs(lane.scopes) do
      local scope = scope_of(id)
      if scope and scope.pair_every > 0 then
        local present, every, burst = now * 1000, scope.pair_every, scope.pair_burst
        local before = tonumber(call('ZSCORE', k_pairs(id), recipient) or 0)
        local tat = owed(before, present + burst * every)
        if tat < before then call('ZADD', k_pairs(id), tat, recipient) end
        room = math.min(room, math.floor((present + burst * every - math.max(tat, present)) / every))
        till = math.max(till, math.ceil((tat - (burst - 1) * every) / 1000))
      end
      if scope and #scope.people > 0 then
        local score = tonumber(call('ZSCORE', k_people(id), recipient) or nil)
        for i, left in ipairs(people_left(scope)) do
          if left <= 0 and not is_known(scope.people[i], score) then full = full or id end
        end
      end
    end
    if full then room = 0 end
    return room, till, full
  end

  -- A job for a recipient starts, with a new unit or with one that it kept.
  function recipients.reserve(lane, recipient, inherited)
    for _, id in ipairs(lane.scopes) do
      local scope = scope_of(id)
      if scope and not inherited then
        local open, last = call('HGET', k_opens(id), recipient), nil
        if open then
          open, last = unpack_from('>I4I6', open)
        else
          open, last = 0, tonumber(call('ZSCORE', k_people(id), recipient) or 0)
          if scope.left then
            for i, left in ipairs(scope.left) do
              if not is_known(scope.people[i], last) then scope.left[i] = left - 1 end
            end
          end
          call('ZADD', k_people(id), OPEN, recipient)
          call('PERSIST', k_people(id))
          recipients.became_known(scope, recipient)
        end
        call('HSET', k_opens(id), recipient, pack('>I4I6', open + 1, last))
      end
      if scope and scope.pair_every > 0 then
        local key, present = k_pairs(id), now * 1000
        local tat = tonumber(call('ZSCORE', key, recipient) or 0)
        call('ZADD', key, math.max(tat, present) + scope.pair_every, recipient)
        if not scope.pairs_trimmed then
          scope.pairs_trimmed = true
          local paid = call('ZRANGEBYSCORE', key, '-inf', present, 'LIMIT', 0, 64)
          if #paid > 0 then call('ZREM', key, unpack(paid)) end
          call('PEXPIRE', key, math.ceil(scope.pair_burst * scope.pair_every / 1000) + DAY_MS)
        end
      end
    end
  end

  -- A unit for a recipient is no longer reserved; it was used at a time, or not.
  function recipients.settle(scope, recipient, used_at)
    local open = call('HGET', k_opens(scope.id), recipient)
    local units, last = 1, 0
    if open then units, last = unpack_from('>I4I6', open) end
    if used_at then last = math.max(last, used_at) end
    if units > 1 then
      call('HSET', k_opens(scope.id), recipient, pack('>I4I6', units - 1, last))
    else
      call('HDEL', k_opens(scope.id), recipient)
      if last > 0 then
        call('ZADD', k_people(scope.id), last, recipient)
      else
        call('ZREM', k_people(scope.id), recipient)
      end
    end
    scope.left, recipients.look_at[scope.id] = nil, true
    if not scope.people_trimmed then
      scope.people_trimmed = true
      local till = now - math.max(scope.people_longest, DAY_MS)
      for _, cap in ipairs(scope.people) do till = math.min(till, cap.from and cap.from - 1 or till) end
      local gone = call('ZRANGEBYSCORE', k_people(scope.id), '-inf', till, 'LIMIT', 0, 64)
      if #gone > 0 then call('ZREM', k_people(scope.id), unpack(gone)) end
    end
  end

  local function name_of(entry)
    local at = string.find(entry, ':', 1, true)
    return sub(entry, at + 1) .. sub(entry, 1, at - 1)
  end

  -- Whether a list was among the newcomers of a scope, where it is no more.
  local function is_no_newcomer(id, entry)
    call('ZREM', k_byname(id), name_of(entry))
    return call('ZREM', k_newcomers(id), entry) == 1
  end

  -- Sees to it that somebody looks at a list again: in ten minutes at the latest, because limits may be loosened meanwhile.
  local function wait_aside(entry, till, full, since)
    if not full then return call('ZADD', ASIDE_TILL, math.min(math.max(till, now + 1), now + 600000), 'K' .. entry) end
    call('ZADD', k_newcomers(full), since, entry)
    call('ZADD', k_byname(full), 0, name_of(entry))
    scope_of(full).has_newcomers = true
    if not call('ZSCORE', ASIDE_TILL, 'S' .. full) then
      call('ZADD', ASIDE_TILL, till_of_people(scope_of(full)), 'S' .. full)
    end
  end

  -- A recipient is known to a scope from now on: its lists need no place in a cap.
  function recipients.became_known(scope, recipient)
    local id = scope.id
    if scope.has_newcomers == nil then scope.has_newcomers = #scope.people > 0 and call('EXISTS', k_byname(id)) == 1 end
    if not scope.has_newcomers then return end
    for _, name in ipairs(call('ZRANGEBYLEX', k_byname(id), '[' .. recipient .. '0', '(' .. recipient .. ':', 'LIMIT', 0, 64)) do
      local entry = sub(name, #recipient + 1) .. ':' .. recipient
      if is_no_newcomer(id, entry) then wait_aside(entry, now) end
    end
  end

  -- A job leaves its lane's list, which the caller sees to. `back`: it was on its way back, so it keeps its place.
  function recipients.step_aside(number, lane, id, raw, recipient, back, till, full)
    local entry = number .. ':' .. recipient
    local first = call(back and 'LPUSH' or 'RPUSH', k_aside(entry), id) == 1
    if first or back then
      call('SADD', k_asides(number), recipient)
      wait_aside(entry, till, full, unpack_from('>I6', raw, 28))
    end
    count(lane.queue, 'k', 1)
    recipients.skips = recipients.skips + 1
  end

  -- The first job of a list, after ids of jobs that ended were dropped, up to 32 of them: its id and record. The third result
  -- tells that only such ids were seen, and more may follow.
  local function first_of(entry, number, lane)
    local key = k_aside(entry)
    -- In nearly all cases the first one is: the others may be large.
    local ids = call('LRANGE', key, 0, 0)
    local raws, ended, first = get_records(ids), #ids, nil
    if not raws[1] or string.byte(raws[1], 2) ~= AVAILABLE then
      ids = call('LRANGE', key, 0, 31)
      raws, ended = get_records(ids), #ids
    end
    for i = 1, #ids do
      if raws[i] and (#raws[i] < HEAD_LEN or string.byte(raws[i], 2) == AVAILABLE and unpack_from('>I4', raws[i], 7) == number) then
        ended, first = i - 1, i
        break
      end
    end
    if ended > 0 then
      call('LPOP', key, ended)
      count(lane.queue, 'k', -ended)
    end
    return first and ids[first], first and raws[first], ended == 32
  end

  -- Whether other jobs of the same lane and recipient stepped aside before.
  function recipients.others_wait(entry, number, lane)
    if call('EXISTS', k_aside(entry)) == 0 then return false end
    local first, _, more = first_of(entry, number, lane)
    return first or more
  end

  -- The next job of a list goes back to the head of its lane, if its recipient has room. Returns whether one did.
  local function look_again(entry)
    local key, at = k_aside(entry), string.find(entry, ':', 1, true)
    local number, recipient = tonumber(sub(entry, 1, at - 1)), sub(entry, at + 1)
    local lane = lane_of(number)
    if not lane then
      call('DEL', key)
      call('SREM', k_asides(number), recipient)
      return
    end
    local first, raw, more = first_of(entry, number, lane)
    if more then
      wait_aside(entry, now)
      return
    end
    if not first then
      call('SREM', k_asides(number), recipient)
      return
    end
    local room, till, full = recipients.room(lane, recipient)
    if room <= 0 then
      wait_aside(entry, till, full, #raw >= HEAD_LEN and unpack_from('>I6', raw, 28) or now)
      return
    end
    -- Not in front of one that has its unit: it may go on when nobody else may.
    local head = call('LINDEX', k_lane(number), 0)
    local ahead = head and bases.get_one(head)
    if ahead and bit.band(string.byte(ahead, 3) or 0, RESERVED) ~= 0 then
      wait_aside(entry, now + 1000)
      return
    end
    call('LPOP', key)
    count(lane.queue, 'k', -1)
    call('HSET', ASIDE_BACK, first, entry)
    push(number, { first }, true)
    return true
  end

  -- The job that was on its way back from a list was met: the list has to be looked at again.
  function recipients.met_back(id, entry)
    call('HDEL', ASIDE_BACK, id)
    if call('EXISTS', k_aside(entry)) == 1 then
      wait_aside(entry, now)
    else
      local at = string.find(entry, ':', 1, true)
      call('SREM', k_asides(sub(entry, 1, at - 1)), sub(entry, at + 1))
    end
  end

  -- Wakes as many newcomers as a scope has room for, oldest first. Who was woken may be in a lane that stands still, so as long
  -- as there is room the next ones are tried every second.
  local looks = 128 -- per call
  function recipients.look_at_newcomers(id)
    local key, scope = k_newcomers(id), scope_of(id)
    -- If nobody uses the scope from now on.
    if scope and call('EXISTS', k_opens(id)) == 0 then call('PEXPIRE', k_people(id), string.format('%.0f', scope.people_kept)) end
    if call('EXISTS', key) == 0 then
      call('ZREM', ASIDE_TILL, 'S' .. id)
      call('DEL', k_byname(id))
      return
    end
    local left = scope and 0 or NO_BOUND
    if scope then
      scope.left = nil
      left = NO_BOUND
      for _, of_cap in ipairs(people_left(scope)) do left = math.min(left, of_cap) end
    end
    local given = 0
    while given < math.min(left, 32) and looks > 0 do
      local entry = call('ZPOPMIN', key)[1]
      if not entry then break end
      call('ZREM', k_byname(id), name_of(entry))
      looks = looks - 1
      if look_again(entry) then given = given + 1 end -- a list of jobs that ended, or were cancelled, uses nothing
    end
    if call('EXISTS', key) == 0 then
      call('ZREM', ASIDE_TILL, 'S' .. id)
    else
      call('ZADD', ASIDE_TILL, left > 0 and now + (looks > 0 and 1000 or 1) or till_of_people(scope), 'S' .. id)
    end
  end

  -- Takes what stepped aside from a lane that was cancelled, or that no record names any more, out of about `most` lists: jobs that
  -- were cancelled with it go to those that wait for it (doomed.lua). Newer ones keep their place, and an older one behind such is
  -- cancelled when it is met.
  local IN_A_STEP = 16
  local function give_up(number, most)
    local lane, field = lane_of(number), 'aside ' .. number
    local place, more = call('HGET', META, field) or '0', false
    local scan = call('SSCAN', k_asides(number), place, 'COUNT', most)
    local mark, doomed = lane and rule_of(lane.base).cancelled or now, {}
    for _, recipient in ipairs(scan[2]) do
      local entry, gone = number .. ':' .. recipient, 0
      local key = k_aside(entry)
      local ids = call('LRANGE', key, 0, IN_A_STEP - 1)
      for i, raw in ipairs(get_records(ids)) do
        if #(raw or '') >= HEAD_LEN and string.byte(raw, 2) == AVAILABLE and unpack_from('>I6', raw, FIRST_LEN + 1) > mark then break end
        gone, doomed[#doomed + 1] = i, ids[i]
      end
      if gone > 0 then
        call('LPOP', key, gone)
        if lane then count(lane.queue, 'k', -gone) end
      end
      if call('EXISTS', key) == 0 then
        call('SREM', k_asides(number), recipient)
        call('ZREM', ASIDE_TILL, 'K' .. entry)
        for _, id in ipairs(lane and lane.scopes or {}) do
          if is_no_newcomer(id, entry) then recipients.look_at[id] = true end
        end
      end
      more = more or gone == IN_A_STEP
    end
    if #doomed > 0 then
      local list = number .. ':' .. call('HINCRBY', META, 'doomed', 1)
      call_many('RPUSH', P .. 'doomed:' .. list, doomed, 256)
      call('RPUSH', DOOMED, list)
    end
    if not more then place = scan[1] end
    if place ~= '0' or more then
      call('HSET', META, field, place)
      call('ZADD', ASIDE_TILL, now, 'C' .. number)
    else
      call('HDEL', META, field)
      drop_lane_refs({ [number] = 0 })
    end
  end

  -- Looks at up to `most` lists whose time has come. Returns how many.
  function recipients.look_at_due(most)
    local due = call('ZRANGEBYSCORE', ASIDE_TILL, '-inf', now, 'LIMIT', 0, most)
    if #due > 0 then call('ZREM', ASIDE_TILL, unpack(due)) end
    for _, timer in ipairs(due) do
      local letter, entry = sub(timer, 1, 1), sub(timer, 2)
      if letter == 'K' then
        look_again(entry)
      elseif letter == 'S' then
        recipients.look_at_newcomers(entry)
      else
        give_up(entry, 4)
      end
    end
    return #due
  end
end
setmetatable(recipients, {
  __index = function(_, name)
    setmetatable(recipients, nil)
    define_recipients()
    return recipients[name]
  end,
})
function settle_recipient(...) return recipients.settle(...) end
at_end[#at_end + 1] = function()
  for id in pairs(recipients.look_at) do recipients.look_at_newcomers(id) end
end
