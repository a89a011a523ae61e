-- Takes records for a session.
-- `reply` has ids and records in turn, each as it was before it was claimed, which says how it is now: running since now, its
-- attempt and its epoch raised by one. So the script need not put together what has just been taken apart.
local taken = { many = 0, ids = {}, runs = {}, reply = {}, lanes = {}, kinds = {}, keyed = {} }

local claim_for, take_record
do
  local whose
  -- Claims that follow are this one of the session.
  function claim_for(session, letter, sequence)
    taken.session, taken.claim = session, claim_of(letter, sequence)
    whose = session .. taken.claim
  end

  local taken_ids, taken_runs, reply, taken_lanes = taken.ids, taken.runs, taken.reply, taken.lanes
  -- What the first parts of waiting records mean, but for the lane in their midst, and how they read when the job runs. In a scoped
  -- lane it then has a reservation, and what follows its times is when that was made. Those of most lanes are alike.
  local alike = { [true] = {}, [false] = {} }
  local started_now, reserved_now = pack('>I6I6', now, 0), pack('>I6', now)
  local function meaning_of(first, scoped)
    local version, state, flags, keep, kind, lane, attempt, max, snoozes, crashes, epoch = unpack_from(FIRST, first)
    if state ~= AVAILABLE then return false end
    local inherits = bit.band(flags, RESERVED) ~= 0
    local reserves = scoped and not inherits
    local running = pack(FIRST, version, RUNNING, reserves and flags + RESERVED or flags, keep, kind, lane, attempt + 1, max,
      snoozes, crashes, epoch + 1)
    taken.kinds[kind] = true
    return {
      flags = flags, bare = flags == 0, inherits = inherits, may_have_recipient = flags >= HAS_MORE, keyed = flags >= HAS_UNIQUE,
      since = (reserves and started_now .. reserved_now or started_now) .. (flags == 0 and whose or ''),
      before = sub(running, 1, BEFORE_LANE), after = sub(running, AFTER_LANE),
    }
  end

  -- Returns what a first part means, which lane it names, and how it reads when the job runs.
  local function start_of(first, scoped)
    local before, after = sub(first, 1, BEFORE_LANE), sub(first, AFTER_LANE)
    local by_after = alike[scoped][before]
    if not by_after then
      by_after = {}
      alike[scoped][before] = by_after
    end
    local start = by_after[after]
    if start == nil then
      start = meaning_of(first, scoped)
      by_after[after] = start
    end
    if not start then return false end
    local lane = unpack_from('>I4', first, BEFORE_LANE + 1)
    taken_lanes[lane] = true
    return start, lane, start.before .. sub(first, BEFORE_LANE + 1, AFTER_LANE - 1) .. start.after
  end
  -- Of the job that was looked at last: one of the same lane often follows, which may have been enqueued in the same instant.
  local last_first, last_scoped, start, start_lane, running
  local last_times, last_run

  -- Marks one job as running. Returns how, or false for an id that only stands here because its job ended or moved elsewhere.
  function take_record(id, raw, runs, number, scoped, cancelled)
    if not raw or runs then return false end
    if #raw < HEAD_LEN then return ended.bury_torn(id, number) end
    local first = sub(raw, 1, FIRST_LEN)
    if first ~= last_first or scoped ~= last_scoped then
      start, start_lane, running = start_of(first, scoped)
      last_first, last_scoped, last_times = first, scoped, nil
    end
    if not start or (number and start_lane ~= number) then return false end
    if start.keyed then
      -- A job that was put off in favour of a newer one (creation.lua), and came back, may stand in its lane twice.
      if taken.keyed[id] then return false end
      taken.keyed[id] = true
    end
    if cancelled and unpack_from('>I6', raw, FIRST_LEN + 1) <= cancelled then
      local r = open_record(raw)
      if not r then return ended.bury_torn(id, number) end
      count(lane_of(r.lane).queue, 'a', -1)
      settle(r, '?', now)
      end_record(id, r, CANCELLED)
      put_record(id, r)
      return false
    end
    local body = start.bare or payload_at(raw)
    if not body then return ended.bury_torn(id, number) end
    local times = sub(raw, FIRST_LEN + 1, RUN_END)
    if times ~= last_times then last_times, last_run = times, running .. times .. start.since end
    local run = last_run
    if not start.bare then run = run .. sub(raw, HEAD_LEN + 1, body - 1) .. whose end
    local n = taken.many + 1
    local second = n + n
    taken.many, taken_ids[n] = n, id
    taken_runs[second - 1], taken_runs[second] = id, run
    reply[second - 1], reply[second] = id, raw
    return start
  end
end

-- Answers once more with jobs that were claimed before, as long as that run of them goes on.
local function take_again(ids, by)
  local raws, runs = get_records(ids), get_many(RUNS, ids)
  for i, id in ipairs(ids) do
    local r = raws[i] and runs[i] and sub(runs[i], -WHOSE_LEN) == by and open_record(raws[i])
    if r then
      local n = #taken.reply
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
