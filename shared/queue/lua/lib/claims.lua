-- Takes jobs for a session: round-robin over tenants, then over a tenant's lanes.
local MOST_VISITS = 256
-- A lane gives up to so many jobs in one visit when a call takes many, because a visit costs as much as several jobs.
local MOST_IN_A_VISIT = 16

-- `reply` has ids and records in turn, each as it was before it was claimed, which says how it is now: running since now, its
-- attempt and its epoch raised by one. So the script need not put together what has just been taken apart.
local taken = { ids = {}, runs = {}, reply = {}, lanes = {}, kinds = {} }

-- What the first parts of waiting records mean, and how they read when the job runs, also with an open reservation.
local starts = {}
local function start_of(first)
  local version, state, flags, keep, kind, lane, attempt, max, snoozes, crashes, epoch = unpack_from(FIRST, first)
  local start = false
  if state == AVAILABLE then
    local function running(with)
      return pack(FIRST, version, RUNNING, with, keep, kind, lane, attempt + 1, max, snoozes, crashes, epoch + 1)
    end
    start = { lane = lane, flags = flags, plain = running(flags), reserving = running(bit.bor(flags, RESERVED)) }
    taken.lanes[lane], taken.kinds[kind] = true, true
  end
  starts[first] = start
  return start
end
local whose, started_now, reserved_now = nil, pack('>I6I6', now, 0), pack('>I6', now)

-- Claims that follow are this one of the session.
local function claim_for(session, letter, sequence)
  taken.session, taken.claim = session, claim_of(letter, sequence)
  whose = session .. taken.claim
end

-- Marks one job as running. Returns false for an id that only stands here because its job ended or moved elsewhere.
local function take_record(id, raw, runs, number, scoped)
  if not raw or runs then return false end
  local first = sub(raw, 1, FIRST_LEN)
  local start = starts[first]
  if start == nil then start = start_of(first) end
  if not start or (number and start.lane ~= number) then return false end
  local first_run, reserving = start.plain, ''
  if scoped and bit.band(start.flags, RESERVED) == 0 then first_run, reserving = start.reserving, reserved_now end
  local sections = start.flags == 0 and '' or sub(raw, HEAD_LEN + 1, payload_at(raw) - 1)
  local run = first_run .. sub(raw, FIRST_LEN + 1, RUN_END) .. started_now .. reserving .. sections .. whose
  local n = #taken.ids
  taken.ids[n + 1] = id
  taken.runs[2 * n + 1], taken.runs[2 * n + 2] = id, run
  taken.reply[2 * n + 1], taken.reply[2 * n + 2] = id, raw
  return true
end

-- Answers once more with jobs that were claimed before, as long as that run of them goes on.
local function take_again(ids, by)
  local raws, runs = get_records(ids), get_many(RUNS, ids)
  for i, id in ipairs(ids) do
    if raws[i] and runs[i] and sub(runs[i], -WHOSE_LEN) == by then
      local n, r = #taken.reply, open_record(raws[i])
      taken.reply[n + 1], taken.reply[n + 2] = id, raws[i]
      taken.lanes[r.lane], taken.kinds[r.kind] = true, true
    end
  end
end

-- Writes down what was taken.
local function write_claim()
  local ids = concat(taken.ids)
  call_many('HSET', RUNS, taken.runs, 400)
  call('HSET', k_claims(taken.session), taken.claim, ids)
  changes(ids)
end

-- Takes up to `want` jobs of a lane without scopes. Returns how many, and whether jobs remain.
local function visit_free(number, want)
  local key = k_lane(number)
  local length = call('LLEN', key)
  local ids = call('LPOP', key, want) or {}
  local raws, runs, got = get_many(JOBS, ids), get_many(RUNS, ids), 0
  for i, id in ipairs(ids) do
    if take_record(id, raws[i], runs[i], number, false) then got = got + 1 end
  end
  return got, length > #ids
end

-- The same under the limits of scopes: a job that inherits a reservation needs no room, any other takes one unit.
local function visit_scoped(number, lane, want)
  local key = k_lane(number)
  local room, till, blocking, again, again_till, again_blocking = lane_room(lane)
  local ids = call('LRANGE', key, 0, want - 1)
  local raws, runs, got, consumed, fresh = get_many(JOBS, ids), get_many(RUNS, ids), 0, 0, 0
  local stopped
  for i, id in ipairs(ids) do
    local raw = raws[i]
    local inherits = raw and bit.band(string.byte(raw, 3), RESERVED) ~= 0
    local stale = not raw or runs[i] or string.byte(raw, 2) ~= AVAILABLE
    if not stale and (inherits and again or room) <= 0 then
      stopped = inherits and 'again' or 'fresh'
      break
    end
    consumed = consumed + 1
    if take_record(id, raw, runs[i], number, true) then
      got = got + 1
      again = again - 1
      if not inherits then
        room = room - 1
        fresh = fresh + 1
      end
      room = math.min(room, again)
    end
  end
  if consumed > 0 then call('LPOP', key, consumed) end
  if got > 0 then reserve(lane, fresh, got - fresh) end
  if stopped then
    if got > 0 then
      local _
      _, till, blocking, _, again_till, again_blocking = lane_room(lane)
    end
    if stopped == 'again' then till, blocking = again_till, again_blocking end
    park(number, lane, till, blocking or lane.scopes[1])
    return got, false, true
  end
  -- There is room for more than this lane took: the next waiter may try.
  if room > 0 then
    for _, id in ipairs(lane.scopes) do freed[id] = math.max(freed[id] or 0, 1) end
  end
  return got, call('EXISTS', key) == 1, false
end

local function visit(number, want)
  local lane = lane_of(number)
  if not lane then return 0, false end
  local got, remains, parked
  if #lane.scopes == 0 then
    got, remains = visit_free(number, want)
  else
    got, remains, parked = visit_scoped(number, lane, want)
  end
  if got > 0 then
    count(lane.queue, 'a', -got)
    count(lane.queue, 'r', got)
  end
  if not remains and not parked then count(lane.queue, 'l', -1) end
  return got, remains
end

-- Takes up to `want` jobs of a queue. Each tenant in the ring gets an even share of the call, each of its lanes an even
-- share of that, but at least a few jobs as long as four lanes get their turn; what one cannot use goes to the next.
local function claim_queue(queue, want)
  if call('SISMEMBER', PAUSED, queue) == 1 then return 0 end
  local got, visits = 0, 0
  local ring = k_ring(queue)
  local tenants = call('LLEN', ring)
  while got < want and visits < MOST_VISITS do
    local tenant = call('LPOP', ring)
    if not tenant then break end
    local share = math.min(want - got, math.max(1, math.floor(want / math.max(tenants, 1))))
    local key = k_tenant(queue, tenant)
    local standing = call('LLEN', key)
    local lane_share = math.max(1, math.floor(share / math.max(standing, 1)), math.min(MOST_IN_A_VISIT, math.floor(share / 4)))
    local left, seen = share, 0
    while left > 0 and seen < standing and visits < MOST_VISITS do
      local number = call('LPOP', key)
      if not number then break end
      seen, visits = seen + 1, visits + 1
      local took, remains = visit(tonumber(number), math.min(left, lane_share))
      left, got = left - took, got + took
      if remains then call('RPUSH', key, number) end
    end
    if call('EXISTS', key) == 1 then call('RPUSH', ring, tenant) end
    visits = visits + 1
  end
  return got
end

-- Takes up to `want` jobs of several queues, each an even share first. Returns whether work may remain.
local function claim(session, sequence, queues, want)
  claim_for(session, 't', sequence)
  local share, got = math.max(1, math.floor(want / #queues)), 0
  for pass = 1, (#queues > 1) and 2 or 1 do
    for _, queue in ipairs(queues) do
      local most = want - got
      if pass == 1 and #queues > 1 then most = math.min(most, share) end
      if most > 0 then got = got + claim_queue(queue, most) end
    end
  end
  if got > 0 then write_claim() end
  return got
end
