-- Outcomes that say more than that a job is done, and those of jobs whose records hold more than a payload: retries, deaths,
-- members of batches, follow-ups. Each costs as much as ten plain ones, and a turn may bring many; so they are applied in
-- slices, and those for which no time is left wait for the next turn.
-- Defines itself when it is called first: most turns have none of these.
local apply_singly
-- Kinds of follow-ups that have no number and get none, by their place in the table of kinds that came along (turn.lua).
local numberless = {}
function apply_singly(...)
  local MAX_U16 = 65535
  local KIND_AT = 19 -- in an item (wire.rs)
  -- So much work, in outcomes and follow-ups, is done before anybody looks at the clock. So many bytes of a record are as much more.
  local IN_A_SLICE, BYTES = 16, 16384

  -- So long a job waits for a worker that knows its kind while others meet it, which takes as long as an upgrade; those that
  -- met it longer ago than three days did so in another upgrade.
  local WAITS_FOR_KNOWING, SAME_UPGRADE = 7 * 86400000, 3 * 86400000
  local function has_waited(r)
    local met, first, last = r.more and field_of(r.more, 'w'), now, now
    if met then first, last = unpack_from('>I6I6', met) end
    if now - last > SAME_UPGRADE then first = now end
    r.more = with_field(r.more, 'w', pack('>I6I6', first, now))
    return now - first > WAITS_FOR_KNOWING
  end

  -- Why what a job brings along cannot be created, if so.
  local function refusal_of(outcome, items)
    for n = outcome.from, outcome.from + outcome.follow - 1 do
      local kind = numberless[(unpack_from('>H', items[n], KIND_AT))]
      if kind then return 'follow-up job ' .. kind .. ': the shard knows 65,535 kinds of jobs, and takes no new ones' end
    end
  end

  -- Changes the record of a job whose run ended, and notes in `ending` what is to be written.
  local function apply(id, r, outcome, ending)
    local verb, use, error = outcome.verb, outcome.use, outcome.error
    local lane = lane_of(r.lane)
    if lane then count(lane.queue, 'r', -1) end
    if verb == 'D' and next(numberless) then
      local refused = refusal_of(outcome, ending.items)
      if refused then verb, error = 'B', refused end
    end
    if verb == 'P' then
      if has_waited(r) then verb = 'B' end
      -- The unit may have been used by the run that reserved it, which nobody here can tell.
      if r.reserved and r.reserved < r.started then use = '?' end
    end
    if (r.cancel or r.torn) and (verb == 'R' or verb == 'S' or verb == 'P' or verb == 'L') then
      if verb == 'L' then use = '?' end -- nobody said what its run did
      if r.cancel then verb = 'X' else verb, error = 'B', ended.TORN end
    end
    if verb == 'L' then put_by(r) else settle(r, use, outcome.used_at) end
    if error ~= '' then r.error = error end
    if verb == 'R' or verb == 'B' then note_attempt(r, error) end
    if verb == 'D' then
      if outcome.output ~= '' then r.output = outcome.output end
      end_record(id, r, COMPLETED)
      for n = outcome.from, outcome.from + outcome.follow - 1 do
        ending.follow_ups[#ending.follow_ups + 1] = n
      end
    elseif verb == 'B' then
      end_record(id, r, BURIED)
    elseif verb == 'X' then
      end_record(id, r, CANCELLED)
    else
      if verb == 'S' then r.snoozes = math.min(r.snoozes + 1, MAX_U16) end
      if verb ~= 'R' and r.attempt > 0 then r.attempt = r.attempt - 1 end
      if verb ~= 'L' and verb ~= 'P' then r.crashes = 0 end -- a whole run, and its process lives
      local run = now
      if verb == 'R' then run = now + outcome.time elseif verb == 'S' or verb == 'P' then run = outcome.time end
      if run > now then
        r.state, r.run = (verb == 'R') and RETRYABLE or SCHEDULED, run
        local due = ending.due
        due[#due + 1] = run
        due[#due + 1] = id
        if lane then count(lane.queue, string.char(r.state), 1) end
        if run > r.enqueued + MONTH / 2 then keep_listed(r) end -- before, it had time enough
      else
        r.state, r.run = AVAILABLE, now
        local list = verb == 'L' and ending.at_head or ending.at_tail
        list[#list + 1] = { id, r }
      end
      changes(id)
    end
    local n = #ending.ids
    ending.ids[n + 1] = id
    ending.records[2 * n + 1], ending.records[2 * n + 2] = id, seal_record(r)
  end

  -- Applies the outcomes at the places `rest`, as far as there is time, but some in any case. Puts a letter in the place of each
  -- into `answers`, and adds to `claims` how many runs of each ended.
  function apply_singly(rest, ids, runs, outcomes, items, lane_names, kind_names, claims, answers)
    local at_head, at_tail, done = {}, {}, 0
    while done < #rest and (done == 0 or has_time()) do
      local ending = { ids = {}, records = {}, due = {}, items = items, follow_ups = {}, at_head = at_head, at_tail = at_tail }
      local slice, work = {}, 0
      while done < #rest and work < IN_A_SLICE do
        done = done + 1
        local id, follow = ids[rest[done]], outcomes[rest[done]].follow
        slice[#slice + 1], work = id, work + 1 + follow + math.floor(bases.size(id) / BYTES)
      end
      local first, numbers = done - #slice, {}
      for n = 1, #slice do numbers[n] = unpack_from('>I4', runs[rest[first + n]], 7) end
      load_lanes(numbers)
      for n, base in ipairs(bases.get(slice)) do
        local i = rest[first + n]
        local r = base and open_record(runs[i])
        if r and r.epoch == outcomes[i].epoch then
          local of_claim = claims[sub(runs[i], -WHOSE_LEN)]
          of_claim.ended, answers[i] = of_claim.ended + 1, 'D'
          r.raw, r.body = base, payload_at(base)
          if not r.body then r.torn, r.payload = true, '' end
          apply(ids[i], r, outcomes[i], ending)
        end
      end
      if #ending.ids > 0 then
        bases.put(ending.records)
        call_many('HDEL', RUNS, ending.ids, 256)
      end
      if #ending.due > 0 then schedule(ending.due) end
      for from = 1, #ending.follow_ups, 256 do
        local part = {}
        for n = from, math.min(from + 255, #ending.follow_ups) do part[#part + 1] = items[ending.follow_ups[n]] end
        create(part, lane_names, kind_names)
      end
    end
    for n = done + 1, #rest do answers[rest[n]] = 'N' end
    make_available(at_head, true)
    make_available(at_tail, false)
  end
  return apply_singly(...)
end
