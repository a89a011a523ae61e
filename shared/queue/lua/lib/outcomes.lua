-- Applies the outcomes of runs that a session held. One stale item never harms its batch.
local MAX_U16 = 65535

-- Outcomes that say nothing but that the job is done come in groups (settling.rs), all others one by one (wire.rs) and each
-- followed by its follow-up jobs.
local function read_outcomes(plain, items)
  local outcomes, ids, n, at = {}, {}, 0, 1
  while at <= #plain do
    local epoch, use, used_at, many
    epoch, use, used_at, many, at = unpack_from('>I4c1I6H', plain, at)
    local shared = {
      completes = epoch, epoch = epoch, verb = 'D', use = use, used_at = used_at, time = 0, error = '', output = '', from = 0,
      follow = 0, uses_now = use == 'u' and used_at >= now,
    }
    for from = at, at + 14 * (many - 1), 14 do
      n = n + 1
      ids[n], outcomes[n] = sub(plain, from, from + 13), shared
    end
    at = at + 14 * many
  end
  at = 1
  while at <= #items do
    local o, id = { from = at + 1 }, nil
    id, o.epoch, o.verb, o.use, o.used_at, o.time, o.error, o.output, o.follow =
      unpack_from('>c14I4c1c1I6I6Hc0I4c0H', items[at])
    -- The epoch of the run it completes, with nothing more to be done than to write that down.
    o.completes = o.verb == 'D' and o.error == '' and o.follow == 0 and o.epoch
    o.uses_now = o.use == 'u' and o.used_at >= now
    n = n + 1
    ids[n], outcomes[n] = id, o
    at = at + 1 + o.follow
  end
  return ids, outcomes
end

-- A claim is forgotten when the last of its runs has ended.
local function forget_claims(session, claims)
  local key = k_claims(session)
  for whose, of_claim in pairs(claims) do
    local many = of_claim.ended
    if many > 0 then
      local claim = sub(whose, -CLAIM_LEN)
      local size = call('HSTRLEN', key, claim) / 14
      if many < size then many = call('HINCRBY', k_ended(session), claim, many) end
      if many >= size then
        call('HDEL', key, claim)
        call('HDEL', k_ended(session), claim)
      end
    end
  end
end

-- Returns one letter per outcome, the plain ones first: D applied, S stale.
local function apply_outcomes(session, plain, items, lane_names, kind_names)
  local ids, outcomes = read_outcomes(plain, items)
  if #ids == 0 then return '' end
  local runs = get_many(RUNS, ids)
  local released, due, follow_ups = {}, {}, {}
  local answers, records, dropped, claims, rest = complete(session, ids, runs, outcomes)
  local bases = {}
  for n, i in ipairs(rest) do bases[n] = ids[i] end
  bases = get_many(JOBS, bases)
  for n, i in ipairs(rest) do
    local id, outcome, base = ids[i], outcomes[i], bases[n]
    local verb, use, used_at, time = outcome.verb, outcome.use, outcome.used_at, outcome.time
    local error, output, from, follow = outcome.error, outcome.output, outcome.from, outcome.follow
    local r = base and open_record(runs[i])
    if r and r.epoch == outcome.epoch then
      local of_claim = claims[sub(runs[i], -WHOSE_LEN)]
      r.raw, r.body = base, payload_at(base)
      of_claim.ended = of_claim.ended + 1
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
