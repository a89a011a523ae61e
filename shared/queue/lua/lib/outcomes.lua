-- Applies the outcomes of runs that a session held. One stale item never harms its batch.
local MAX_U16 = 65535

-- Most runs end well, at the first crash-free attempt, with nothing in their record but the payload: the end of such a job
-- changes a few bytes of its head. Returns nil if this is none of them, or its lane.
local completed_at = pack('>I6', now)
local function complete_plainly(id, raw, epoch, output, records)
  local _, state, flags, keep = string.byte(raw, 1, 4)
  if state ~= RUNNING or flags ~= 0 then return end
  local lane, _, _, _, crashes, of = unpack_from('>I4HHHBI4', raw, 7)
  if crashes > 0 or of ~= epoch then return end
  local n = #records
  records[n + 1] = id
  if output == '' then
    records[n + 2] = concat({ sub(raw, 1, 1), 'c\0', sub(raw, 4, 39), completed_at })
  else
    records[n + 2] = concat({ sub(raw, 1, 1), 'c', string.char(HAS_OUTPUT), sub(raw, 4, 39), completed_at,
      pack('>I4c0', #output, output) })
  end
  local list = ended.by_class[keep]
  if not list then list = {}; ended.by_class[keep] = list end
  list[#list + 1] = id .. completed_at
  changes(id)
  return lane
end

-- items: see wire.rs; an outcome is followed by its follow-up jobs. Returns one letter per outcome: D applied, S stale.
local function apply_outcomes(session, items, lane_names, kind_names)
  local outcomes, ids, at = {}, {}, 1
  while at <= #items do
    local id, epoch, verb, use, used_at, time, error, output, follow = unpack_from('>c14I4c1c1I6I6Hc0I4c0H', items[at])
    outcomes[#outcomes + 1] = { id, epoch, verb, use, used_at, time, error, output, at + 1, follow }
    ids[#ids + 1] = id
    at = at + 1 + follow
  end
  if #ids == 0 then return '' end
  local held = call('SMISMEMBER', k_held(session), unpack(ids))
  local raws = get_records(ids)
  local answers, records, released, due, dropped, follow_ups, plain = {}, {}, {}, {}, {}, {}, {}
  for i, outcome in ipairs(outcomes) do
    local id, epoch, verb, use, used_at, time, error, output, from, follow = unpack(outcome)
    local raw = held[i] == 1 and not dropped[id] and raws[i]
    local done_in = raw and verb == 'D' and follow == 0 and error == ''
      and complete_plainly(id, raw, epoch, output, records)
    local r = raw and not done_in and open_record(raw)
    if done_in then
      answers[i] = 'D'
      dropped[id] = true
      dropped[#dropped + 1] = id
      plain[done_in] = (plain[done_in] or 0) + 1
    elseif not r or r.state ~= RUNNING or r.epoch ~= epoch then
      answers[i] = 'S'
    else
      answers[i] = 'D'
      dropped[id] = true
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
  for number, many in pairs(plain) do
    local lane = lane_of(number)
    if lane then
      count(lane.queue, 'r', -many)
      count(lane.queue, 'c', many)
    end
  end
  if #dropped > 0 then
    call_many('SREM', k_held(session), dropped, 256)
    call_many('HSET', JOBS, records, 400)
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
