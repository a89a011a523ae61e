-- Takes jobs for a session: round-robin over tenants, then over a tenant's lanes, by priority and weight.
-- What stands between `do` and `end` is known only here: a script has room for 200 names.
local claim
do
  local MOST_VISITS = 256
  -- A lane gives up to so many jobs in one visit when a call takes many, because a visit costs as much as several jobs; more in a
  -- long ring, where new lanes come first (precedence.lua).
  local SOME_IN_A_VISIT = 16

  -- Ids that only stood in a lane because their job had ended or moved: each costs a call as much as a short visit.
  local stale = 0

  -- Whether anybody gave a tenant or a lane a weight, or paused or cancelled a lane.
  local ruled = call('EXISTS', RULES) == 1

  -- What lanes gave in visits whose records are not yet looked at: { number, lane, ids }. A call reads them together.
  local picked = {}

  local is_full, fitting = sizes.is_full, sizes.fitting
  local function pop(key, most)
    local ids = call('LPOP', key, digits[most]) or {}
    local many, others = fitting(ids), {}
    for i = #ids, many + 1, -1 do others[#others + 1], ids[i] = ids[i], nil end
    if others[1] then call('LPUSH', key, unpack(others)) end
    return ids
  end

  -- Whether jobs are on their way back from aside: whoever meets one looks after those behind it, also where no limit of
  -- recipients is left.
  local are_back

  -- Takes ids out of a lane if its scopes have room for as many. Returns how many, and whether jobs remain; or nothing.
  local function pick(name, number, lane, most)
    local key, ids = k_lane(name), nil
    if lane.scopes[1] then
      if are_back == nil then are_back = call('EXISTS', recipients.BACK) == 1 end
      if are_back then return end
      ids = simply.reserve(lane, most, pop, key)
      if not ids then
        if not has_room(lane, most) then return end
        ids = pop(key, most)
        if #ids > 0 then reserve(lane, #ids, 0) end
      end
      pass_on(lane.scopes)
    else
      ids = pop(key, most)
    end
    local got = #ids
    if got > 0 then
      picked[#picked + 1] = { number, lane, ids }
      lane.picked = true
    end
    return got, (got == most or is_full()) and call('EXISTS', key) == 1
  end

  -- Ids that were picked and not taken: their job had ended or moved, or they went back.
  local gone, went_back = 0, false

  -- So many that were picked last go back to the heads of their lanes.
  local function put_back(many)
    went_back = true
    for at = #picked, 1, -1 do
      local number, lane, ids = unpack(picked[at])
      local back = {}
      for i = #ids, math.max(#ids - many, 0) + 1, -1 do back[#back + 1], ids[i] = ids[i], nil end
      if #back == 0 then break end
      many, gone = many - #back, gone + #back
      if call('LPUSH', k_lane(number), unpack(back)) == #back then
        count(lane.queue, 'l', 1)
        enter_ring(number, lane) -- at its end: what is visited now stands at its head, and is removed from there
      end
      if lane.scopes[1] then
        reserve(lane, -#back, 0)
        pass_on(lane.scopes)
      end
    end
  end

  -- Takes the jobs of the ids that were picked, as many as a call may read.
  local function take_picked()
    local ids, at = #picked == 1 and picked[1][3] or {}, 0
    if #picked > 1 then
      for _, visit in ipairs(picked) do
        local of_lane = visit[3]
        for i = 1, #of_lane do ids[at + i] = of_lane[i] end
        at = at + #of_lane
      end
      at = 0
    end
    local raws, read = sizes.read(ids)
    if read < #ids then put_back(#ids - read) end
    local runs = get_many(RUNS, ids)
    for _, visit in ipairs(picked) do
      local number, lane, scoped = visit[1], visit[2], #visit[2].scopes > 0
      local got, inherited, cancelled = 0, 0, lane.cancelled > 0 and lane.cancelled
      for _ = 1, #visit[3] do
        at = at + 1
        local start = take_record(ids[at], raws[at], runs[at], number, scoped, cancelled)
        if start then
          got = got + 1
          if start.inherits then inherited = inherited + 1 end
          local recipient = scoped and start.may_have_recipient and recipients.of(raws[at])
          if recipient then recipients.reserve(lane, recipient, start.inherits) end
        end
      end
      local less = #visit[3] - got
      gone, stale = gone + less, stale + less
      if scoped and less + inherited > 0 then
        reserve(lane, -less - inherited, inherited) -- room was taken for all of them
        pass_on(lane.scopes)
      end
      lane.picked = false
    end
    picked = {}
  end

  -- The same job by job, where scopes have no room for all or recipients are limited: a job that inherits a reservation needs
  -- no room, any other takes one unit. What `lane_room` says comes last.
  local function visit_tight(number, lane, want, place, room, till, blocking, again, again_till, again_blocking)
    local key = k_lane(number)
    if lane.keyed and recipients.skips >= recipients.MOST_SKIPS then return 0, true, false end
    local ids = call('LRANGE', key, 0, want - 1)
    for i = #ids, fitting(ids) + 1, -1 do ids[i] = nil end
    local raws, read = sizes.read(ids)
    for i = #ids, read + 1, -1 do ids[i] = nil end
    local back = #ids > 0 and call('HMGET', recipients.BACK, unpack(ids)) or {}
    local runs, got, consumed, fresh = get_many(RUNS, ids), 0, 0, 0
    local stopped
    for i, id in ipairs(ids) do
      local raw = raws[i]
      local inherits = raw and bit.band(string.byte(raw, 3) or 0, RESERVED) ~= 0
      local waits = raw and not runs[i] and string.byte(raw, 2) == AVAILABLE
      if waits and (inherits and again or room) <= 0 then
        stopped = inherits and 'again' or 'fresh'
        break
      end
      local recipient = waits and recipients.of(raw)
      local full, free_at
      if recipient and lane.keyed and not inherits and unpack_from('>I6', raw, FIRST_LEN + 1) > lane.cancelled then
        local places
        if not back[i] and recipients.others_wait(number .. ':' .. recipient, number, lane) then
          places, free_at = 0, now -- others for this recipient came first
        else
          places, free_at, full = recipients.room(lane, recipient)
        end
        if places <= 0 and recipients.skips >= recipients.MOST_SKIPS then break end
        if places > 0 then free_at = nil end
      end
      consumed = consumed + 1
      if free_at then
        if back[i] then call('HDEL', recipients.BACK, id) end
        recipients.step_aside(number, lane, id, raw, recipient, back[i], free_at, full)
      elseif take_record(id, raw, runs[i], number, true, lane.cancelled) then
        got = got + 1
        again = again - 1
        if recipient then recipients.reserve(lane, recipient, inherits) end
        if not inherits then
          room = room - 1
          fresh = fresh + 1
        end
        room = math.min(room, again)
      end
      if back[i] and not free_at then recipients.met_back(id, back[i]) end
    end
    stale = stale + consumed - got
    if consumed > 0 then call('LPOP', key, consumed) end
    if got > 0 then reserve(lane, fresh, got - fresh) end
    if stopped then
      if got > 0 then
        local _
        _, till, blocking, _, again_till, again_blocking = lane_room(lane)
      end
      -- Who was given something had its turn, and stands behind all who wait, also those that come to the line in this moment.
      place = got > 0 and now + 1 or place and (place < 0 and place - FIRST_IN_LINE or place) or now
      if stopped == 'again' then till, blocking, place = again_till, again_blocking, place + FIRST_IN_LINE end
      blocking = blocking or lane.scopes[1]
      park(number, lane, till, blocking, place)
      pass_on(lane.scopes, blocking)
      return got, false, true
    end
    pass_on(lane.scopes)
    return got, call('EXISTS', key) == 1, false
  end

  -- Lanes that stand first in a ring that is visited (precedence.lua): how many jobs each paid for. Of the last, its field, too.
  local are_ahead, paid, last_ahead = nil, {}, {}
  local function load_ahead(ring, entries)
    if are_ahead == nil then are_ahead = call('EXISTS', AHEAD) == 1 end
    if not are_ahead or not entries[1] then return end
    local field = sub(ring, #P + 1)
    local last = call('HGET', AHEAD, field)
    if last then last_ahead[last] = field end
    for i, jobs in ipairs(call('HMGET', AHEAD, unpack(entries))) do paid[entries[i]] = tonumber(jobs or nil) end
  end

  -- Takes up to `most` jobs of a lane. Returns how many, and whether the lane goes back into its ring.
  local function visit(name, most)
    if paid[name] then
      most = math.min(most, paid[name])
      call('HDEL', AHEAD, name)
    end
    if last_ahead[name] then call('HDEL', AHEAD, last_ahead[name]) end -- also if the lane itself is gone
    paid[name], last_ahead[name] = nil, nil
    local number = tonumber(name)
    local lane, place = lane_of(number), place_of(name)
    if not lane then return 0, false end
    local rule = ruled and rule_of(lane.base)
    if rule and rule.paused then
      park(number, lane, FAR, pause_of(lane.base))
      pass_on(lane.scopes)
      return 0, false
    end
    lane.cancelled = rule and rule.cancelled or 0
    local got, remains = pick(name, number, lane, most)
    local parked
    if not got then
      if lane.picked then take_picked() end -- they come before those that are taken now
      got, remains, parked = visit_tight(number, lane, most, place, lane_room(lane))
    end
    if not remains and not parked then count(lane.queue, 'l', -1) end
    return got, remains
  end

  local visits = 0
  -- Visits that find nothing, such as of lanes that are parked by them, take as long as others: time ends them, too.
  local function may_go_on()
    -- Whoever comes next is first in the next call.
    if recipients.skips >= recipients.MOST_SKIPS or is_full() then return false end
    return visits + stale < MOST_VISITS and (visits == 0 or visits % 16 > 0 or has_time())
  end

  -- Shares `want` out over a ring: in each round every entry may take as many as its weight says. An entry whose turn ends
  -- because nothing more is wanted goes on with the rest of it in the next call, so that shares are exact in the long run.
  -- `weight_of` an entry and its credit's field are only asked for when there are rules. Without them an entry takes `few` at
  -- once even if the ring is long. Entries are read, and those with work left put back, as many at once as `want` may need.
  -- `expect`, if given, is told which will be visited. Returns how many were taken, and how many entries the ring has left.
  local function share_out(ring, length, want, few, weight_of, credit_of, visit_entry, expect)
    local got, seen, in_vain, credit = 0, 0, 0, nil
    if ruled and length > 0 then
      local field = credit_of(call('LINDEX', ring, 0))
      credit = tonumber(call('HGET', CREDITS, field) or nil)
      if credit then call('HDEL', CREDITS, field) end
    end
    while got < want and in_vain < length and may_go_on() do
      local sum, weights = length, {}
      if ruled and length <= 64 then
        sum = 0
        for _, entry in ipairs(call('LRANGE', ring, 0, -1)) do
          weights[entry] = weights[entry] or weight_of(entry)
          sum = sum + weights[entry]
        end
      end
      local rounds = math.max(1, math.floor((want - got) / sum))
      if not ruled then rounds = math.max(rounds, few) end
      local each = rounds -- what an entry is expected to give
      if few > 1 and seen > 0 and not ruled then each = math.max(rounds / 8, math.min(rounds, got / seen)) end
      local many = credit and 1 or math.min(length, math.ceil((want - got) / each))
      local entries = call('LRANGE', ring, 0, many - 1)
      if expect then expect(entries) end
      local left, back = 0, {}
      for _, entry in ipairs(entries) do
        if got >= want or not may_go_on() then break end
        visits, seen = visits + 1, seen + 1
        local grant = credit or (ruled and rounds * (weights[entry] or weight_of(entry)) or rounds)
        local most = math.min(grant, want - got)
        local took, remains = visit_entry(entry, most)
        got, credit = got + took, nil
        in_vain = (took > 0 or not remains) and 0 or in_vain + 1
        if remains and ruled and took == most and most < grant then
          call('HSET', CREDITS, credit_of(entry), grant - most) -- it stays at the head
        else
          left = left + 1
          if remains then back[#back + 1] = entry end
        end
      end
      if left > 0 then call('LPOP', ring, left) end
      if #back > 0 then call('RPUSH', ring, unpack(back)) end
      length = went_back and call('LLEN', ring) or length - left + #back
    end
    return got, length
  end

  local function lane_weight(number)
    local lane = lane_of(number)
    return lane and rule_of(lane.base).weight or 1
  end
  local function lane_credit(number) return 'L' .. number end
  local function visit_lanes(key, most)
    local length = call('LLEN', key)
    local few = math.min(length > LONG_RING and MOST_IN_A_VISIT or SOME_IN_A_VISIT, math.floor(most / 4))
    local function expect(entries)
      load_lanes(entries)
      load_ahead(key, entries)
    end
    local got, left = share_out(key, length, most, few, lane_weight, lane_credit, visit, expect)
    if got > 0 and left > LONG_RING and not ruled then
      local precedence = k_precedence(P, key)
      local credit = call('INCRBY', precedence, got)
      if credit == got then credit = call('INCRBY', precedence, FIRST_CREDIT) end
      if credit > MOST_CREDIT then call('SET', precedence, MOST_CREDIT) end
      call('PEXPIRE', precedence, CREDIT_MS)
    end
    return got, left
  end

  -- Of 21 places in a row, 16 are for high priority, 4 for normal and 1 for low; places nobody claims go to the others.
  local PLACES, HIGH, NORMAL, LOW = 21, 1, 0, 2
  -- Whether anybody's place or credit is kept, once it was asked.
  local credited
  local function forget_place(queue, tenant)
    if credited == nil then credited = call('EXISTS', CREDITS) == 1 end
    if credited then call('HDEL', CREDITS, 'P' .. queue .. ':' .. tenant, 'T' .. queue .. ':' .. tenant) end
  end
  local function visit_priorities(queue, tenant, most)
    local field = 'P' .. queue .. ':' .. tenant
    local place = call('HINCRBY', CREDITS, field, most) - most
    credited = true
    local plan = { [HIGH] = 0, [NORMAL] = 0, [LOW] = 0 }
    for n = place + 1, place + most do
      local at = n % PLACES
      local class = (at == 0 and LOW) or (at % 5 == 0 and NORMAL) or HIGH
      plan[class] = plan[class] + 1
    end
    local got, standing = 0, false
    for pass = 1, 2 do
      for _, class in ipairs({ HIGH, NORMAL, LOW }) do
        local share = (pass == 1) and plan[class] or most - got
        if share > 0 then got = got + visit_lanes(k_tenant(queue, tenant, class), share) end
      end
    end
    for class = 0, 2 do standing = standing or call('EXISTS', k_tenant(queue, tenant, class)) == 1 end
    if not standing then forget_place(queue, tenant) end
    return got, standing
  end

  local function tenant_weight(tenant) return tonumber(call('HGET', RULES, 'T' .. tenant)) or 1 end

  -- Takes up to `want` jobs of a queue, fairly over its tenants, their priorities, and the lanes of each.
  local function claim_queue(queue, want)
    if call('SISMEMBER', PAUSED, queue) == 1 then return 0 end
    local function tenant_credit(tenant) return 'T' .. queue .. ':' .. tenant end
    -- A tenant that is paused leaves the ring when it is visited, with its lanes as they stand, and comes back when it is resumed:
    -- until then its lanes take no time. (Not a name outside, of which there are as many as may be.)
    local stopped = P .. 'stopped'
    local stops = call('EXISTS', stopped) == 1
    local function visit_tenant(tenant, most)
      if stops and call('SISMEMBER', stopped, tenant) == 1 then
        call('SADD', P .. 'away:' .. tenant, queue)
        return 0, false
      end
      if call('EXISTS', k_tenant(queue, tenant, HIGH), k_tenant(queue, tenant, LOW)) > 0 then
        return visit_priorities(queue, tenant, most)
      end
      local got, left = visit_lanes(k_tenant(queue, tenant, NORMAL), most)
      if left == 0 then forget_place(queue, tenant) end -- of the time when it had work of other priorities
      return got, left > 0
    end
    local got = 0
    visits, stale, recipients.skips = 0, 0, 0
    repeat
      gone = 0
      got = got + share_out(k_ring(queue), call('LLEN', k_ring(queue)), want - got, 1, tenant_weight, tenant_credit, visit_tenant)
      take_picked()
      got = got - gone
    until gone == 0 or not may_go_on()
    count(queue, 'a', -got)
    count(queue, 'r', got)
    return got
  end

  -- Takes up to `want` jobs of several queues, each an even share first. Returns whether work may remain.
  function claim(session, sequence, queues, want)
    claim_for(session, 't', sequence)
    local share, got = math.max(1, math.floor(want / #queues)), 0
    for pass = 1, (#queues > 1) and 2 or 1 do
      for _, queue in ipairs(queues) do
        local most = want - got
        if pass == 1 and #queues > 1 then most = math.min(most, share) end
        if most > 0 then
          sizes.of_one(#queues)
          got = got + claim_queue(queue, most)
        end
      end
    end
    if got > 0 then write_claim() end
    write_endings()
    return got
  end
end
