-- What a session holds, and taking it back.

-- Takes back jobs, looking at up to `most`, or at fewer that are large: each goes to the head of its lane with its reservation and
-- without an attempt. One that was asked to stop ends instead; its handler may have been in the middle of a send, so its unit
-- stays charged.
-- `charge`, if given, is called with the id and record of each, and answers for how many ms it must wait. Returns how many
-- were taken, and whether the session holds more.
local function take_back(session, most, charge)
  local MOST_BYTES = 524288
  local key, ids, by, bytes, cut = k_claims(session), {}, {}, 0, nil
  local claims = call('HRANDFIELD', key, most)
  table.sort(claims)
  for _, claim in ipairs(claims) do
    if #ids == most or bytes >= MOST_BYTES then break end
    local of, from = call('HGET', key, claim), 1
    while from < #of and #ids < most and bytes < MOST_BYTES do
      ids[#ids + 1] = sub(of, from, from + 13)
      by[#ids] = session .. claim -- a run that ended may have been followed by another one
      bytes = bytes + bases.size(ids[#ids])
      from = from + 14
    end
    if from < #of then
      call('HSET', key, claim, sub(of, from))
      cut = claim
    else
      call('HDEL', key, claim)
      call('HDEL', k_ended(session), claim)
    end
  end
  local raws, runs, records, jobs, stopped, ended_in_cut = get_records(ids), get_many(RUNS, ids), {}, {}, {}, 0
  for i, id in ipairs(ids) do
    -- What had ended of a claim is counted (outcomes.lua), of one that was cut, without those that it does not name any more.
    if cut and by[i] == session .. cut and not (runs[i] and sub(runs[i], -WHOSE_LEN) == by[i]) then
      ended_in_cut = ended_in_cut + 1
    end
    local held = runs[i] and sub(runs[i], -WHOSE_LEN) == by[i] and raws[i]
    local r = held and open_record(held)
    local torn = held and not r
    if torn then
      r = open_record(runs[i]) or ended.remains_of(runs[i])
      r.error, r.payload = ended.TORN, ''
    end
    if r then
      local lane = lane_of(r.lane)
      if lane then count(lane.queue, 'r', -1) end
      local wait = charge and charge(id, r) or 0
      if r.cancel or torn then
        settle(r, '?', now)
        end_record(id, r, r.cancel and CANCELLED or BURIED)
      else
        put_by(r)
        r.state, r.run, r.attempt = AVAILABLE, now + wait, math.max(r.attempt - 1, 0)
        if wait > 0 then
          r.state = SCHEDULED
          call('ZADD', DUE, r.run, id)
          if lane then count(lane.queue, 's', 1) end
        else
          jobs[#jobs + 1] = { id, r }
        end
        changes(id)
      end
      stopped[#stopped + 1] = id
      records[#records + 1] = id
      records[#records + 1] = seal_record(r)
    end
  end
  if #records > 0 then
    bases.put(records)
    call_many('HDEL', RUNS, stopped, 256)
  end
  if cut then
    local over = k_ended(session)
    local many = ended_in_cut > 0 and call('HINCRBY', over, cut, -ended_in_cut) or tonumber(call('HGET', over, cut) or 0)
    if many >= call('HSTRLEN', key, cut) / 14 then
      call('HDEL', key, cut)
      call('HDEL', over, cut)
    end
  end
  write_endings()
  make_available(jobs, true)
  return #stopped, call('EXISTS', key) == 1
end

local function forget_session(session)
  call('ZREM', SESSIONS, session)
  call('HDEL', ANSWERS, session)
  call('HDEL', SUSPECT_OF, session)
  call('DEL', k_started(session), k_ended(session))
end
