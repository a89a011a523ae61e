-- Applies the outcomes of runs that a session held. One stale item never harms its batch.

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

-- Returns one letter per outcome, the plain ones first: D applied, S stale, N not looked at, to be sent again.
local function apply_outcomes(session, plain, items, lane_names, kind_names)
  local ids, outcomes = read_outcomes(plain, items)
  if #ids == 0 then return '' end
  local runs = get_many(RUNS, ids)
  local answers, records, dropped, claims, rest = complete(session, ids, runs, outcomes)
  if #dropped > 0 then
    bases.put(records)
    call_many('HDEL', RUNS, dropped, 256)
  end
  if #rest > 0 then apply_singly(rest, ids, runs, outcomes, items, lane_names, kind_names, claims, answers) end
  forget_claims(session, claims)
  write_endings()
  return concat(answers)
end
