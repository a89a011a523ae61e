-- Applies the outcomes of runs that a session held. One stale item never harms its batch.
local MAX_U16 = 65535

-- Most runs end well, at the first crash-free attempt, with nothing in their record but the payload and perhaps a reservation: the end of such a job
-- changes a few bytes of its head. What the first parts of running records mean, and how they read when the job is completed.
local completed_at = pack('>I6', now)
local ends = {}
local function completed(first, flags) return sub(first, 1, 1) .. string.char(COMPLETED, flags) .. sub(first, 4) end
local function end_of(first)
  local _, state, flags, keep, _, lane, _, _, _, crashes, epoch = unpack_from(FIRST, first)
  local found = false
  if state == RUNNING and (flags == 0 or flags == RESERVED) and crashes == 0 then
    local list = ended.by_class[keep]
    if not list then list = {}; ended.by_class[keep] = list end
    found = { lane = lane, epoch = epoch, bare = completed(first, 0), list = list, jobs = 0,
      reserved = flags == RESERVED, unused = 0 }
  end
  ends[first] = found
  return found
end

-- Outcomes that say nothing but that the job is done come in groups (settling.rs), all others one by one (wire.rs) and each
-- followed by its follow-up jobs.
local function read_outcomes(plain, items)
  local outcomes, ids, at = {}, {}, 1
  while at <= #plain do
    local epoch, use, used_at, many
    epoch, use, used_at, many, at = unpack_from('>I4c1I6H', plain, at)
    local shared = { epoch = epoch, verb = 'D', use = use, used_at = used_at, time = 0, error = '', output = '', from = 0, follow = 0 }
    for _ = 1, many do
      local n = #ids + 1
      ids[n], outcomes[n] = sub(plain, at, at + 13), shared
      at = at + 14
    end
  end
  at = 1
  while at <= #items do
    local o, id = { from = at + 1 }, nil
    id, o.epoch, o.verb, o.use, o.used_at, o.time, o.error, o.output, o.follow =
      unpack_from('>c14I4c1c1I6I6Hc0I4c0H', items[at])
    ids[#ids + 1], outcomes[#ids + 1] = id, o
    at = at + 1 + o.follow
  end
  return ids, outcomes
end

-- A claim is forgotten when the last of its runs has ended.
local function forget_claims(session, claims)
  local key = k_claims(session)
  for whose, many in pairs(claims) do
    local claim = sub(whose, -CLAIM_LEN)
    local size = call('HSTRLEN', key, claim) / 14
    if many < size then many = call('HINCRBY', k_ended(session), claim, many) end
    if many >= size then
      call('HDEL', key, claim)
      call('HDEL', k_ended(session), claim)
    end
  end
end

-- Returns one letter per outcome, the plain ones first: D applied, S stale.
local function apply_outcomes(session, plain, items, lane_names, kind_names)
  local ids, outcomes = read_outcomes(plain, items)
  if #ids == 0 then return '' end
  local runs = get_many(RUNS, ids)
  local answers, records, released, due, dropped, follow_ups, rest = {}, {}, {}, {}, {}, {}, {}
  local seen, claims, founds, numbers = {}, {}, {}, {}
  for i = 1, #ids do
    local first = runs[i] and sub(runs[i], 1, FIRST_LEN)
    local found = first and ends[first]
    if first and found == nil then found = end_of(first) end
    founds[i] = found
    if found then numbers[#numbers + 1] = found.lane end
  end
  load_lanes(numbers)
  for i, id in ipairs(ids) do
    local run, outcome = not seen[id] and runs[i], outcomes[i]
    answers[i] = 'S'
    seen[id] = true
    local whose = run and sub(run, -WHOSE_LEN)
    local of_claim = run and claims[whose]
    if run and of_claim == nil then of_claim = whose_run(run) == session and 0 end
    if of_claim then
      local found = founds[i]
      if found and found.epoch == outcome.epoch and outcome.verb == 'D' and outcome.follow == 0 and outcome.error == '' then
        local n = #dropped + 1
        dropped[n], answers[i] = id, 'D'
        records[2 * n - 1] = id
        if outcome.output == '' then
          records[2 * n] = found.bare .. sub(run, FIRST_LEN + 1, STARTED_END) .. completed_at
        else
          records[2 * n] = completed(found.bare, HAS_OUTPUT) .. sub(run, FIRST_LEN + 1, STARTED_END) .. completed_at
            .. pack('>I4c0', #outcome.output, outcome.output)
        end
        if found.reserved and outcome.use == 'n' then
          found.unused = found.unused + 1
        elseif found.reserved then
          local since = unpack_from('>I6', run, HEAD_LEN + 1)
          settle({ state = RUNNING, lane = found.lane, reserved = since }, outcome.use, outcome.used_at)
        end
        found.list[#found.list + 1] = id .. completed_at
        found.jobs = found.jobs + 1
        claims[whose] = of_claim + 1
      else
        rest[#rest + 1] = i
      end
    end
  end
  for _, found in pairs(ends) do
    local lane = found and lane_of(found.lane)
    if lane then
      count(lane.queue, 'r', -found.jobs)
      count(lane.queue, 'c', found.jobs)
      if found.unused > 0 then settle_unused(lane, found.unused) end
    end
  end
  if #dropped > 0 then changes(concat(dropped)) end
  local bases = {}
  for n, i in ipairs(rest) do bases[n] = ids[i] end
  bases = get_many(JOBS, bases)
  for n, i in ipairs(rest) do
    local id, outcome, base = ids[i], outcomes[i], bases[n]
    local verb, use, used_at, time = outcome.verb, outcome.use, outcome.used_at, outcome.time
    local error, output, from, follow = outcome.error, outcome.output, outcome.from, outcome.follow
    local r = base and open_record(runs[i])
    if r and r.epoch == outcome.epoch then
      local whose = sub(runs[i], -WHOSE_LEN)
      r.raw, r.body = base, payload_at(base)
      claims[whose] = (claims[whose] or 0) + 1
      answers[i] = 'D'
      dropped[#dropped + 1] = id
      local lane = lane_of(r.lane)
      if lane then count(lane.queue, 'r', -1) end
      if r.cancel and (verb == 'R' or verb == 'S' or verb == 'L') then
        if verb == 'L' then use = '?' end -- nobody said what its run did
        verb = 'X'
      end
      if verb == 'L' then put_by(r) else settle(r, use, used_at) end
      if error ~= '' then r.error = error end
      if verb == 'R' or verb == 'B' then note_attempt(r, error) end
      if verb == 'D' then
        if output ~= '' then r.output = output end
        end_record(id, r, COMPLETED)
        for n = from, from + follow - 1 do follow_ups[#follow_ups + 1] = items[n] end
      elseif verb == 'B' then
        end_record(id, r, BURIED)
      elseif verb == 'X' then
        end_record(id, r, CANCELLED)
      else
        if verb == 'S' then r.snoozes = math.min(r.snoozes + 1, MAX_U16) end
        if verb ~= 'R' and r.attempt > 0 then r.attempt = r.attempt - 1 end
        if verb ~= 'L' then r.crashes = 0 end -- a whole run, and its process lives
        local run = now
        if verb == 'R' then run = now + time elseif verb == 'S' then run = time end
        if run > now then
          r.state, r.run = (verb == 'R') and RETRYABLE or SCHEDULED, run
          due[#due + 1] = run
          due[#due + 1] = id
          if lane then count(lane.queue, string.char(r.state), 1) end
        else
          r.state, r.run = AVAILABLE, now
          released[#released + 1] = { id, r, verb == 'L' }
        end
        changes(id)
      end
      records[#records + 1] = id
      records[#records + 1] = seal_record(r)
    end
  end
  if #dropped > 0 then
    call_many('HSET', JOBS, records, 400)
    call_many('HDEL', RUNS, dropped, 256)
    forget_claims(session, claims)
    if #due > 0 then schedule(due) end
    local at_head, at_tail = {}, {}
    for _, job in ipairs(released) do
      local list = job[3] and at_head or at_tail
      list[#list + 1] = job
    end
    make_available(at_head, true)
    make_available(at_tail, false)
    for first = 1, #follow_ups, 256 do
      local part = {}
      for n = first, math.min(first + 255, #follow_ups) do part[#part + 1] = follow_ups[n] end
      create(part, lane_names, kind_names)
    end
    write_endings()
  end
  return concat(answers)
end
