-- Most runs end well, at the first crash-free attempt, with nothing in their record but the payload and perhaps a reservation:
-- the end of such a job changes a few bytes of its head. They are completed here, many at a time; what concerns their lane, its
-- scopes and the counters is done once per lane.
local complete
do
  local completed_at = pack('>I6', now)

  local function completed(first, flags) return sub(first, 1, 1) .. string.char(COMPLETED, flags) .. sub(first, 4) end

  -- What the first parts of running records mean, but for the lane in their midst: those of most lanes are alike.
  local alike = {}
  local function meaning_of(first)
    local _, state, flags, keep, _, _, _, _, _, crashes, epoch = unpack_from(FIRST, first)
    if state ~= RUNNING or (flags ~= 0 and flags ~= RESERVED) or crashes > 0 then return false end
    local list = ended.by_class[keep]
    if not list then list = {}; ended.by_class[keep] = list end
    list.many = #list
    return { epoch = epoch, before = sub(completed(first, 0), 1, BEFORE_LANE), list = list, reserved = flags == RESERVED }
  end

  -- The different first parts, each with its lane, how it reads when the job is completed, how many jobs are, how many of those
  -- with a reservation did not use it, and how many used it at a time of their own.
  local places, ends, ending_lanes, completions, jobs, unused, aside = {}, {}, {}, {}, {}, {}, {}
  local function end_of(first)
    local before, after = sub(first, 1, BEFORE_LANE), sub(first, AFTER_LANE)
    local by_after = alike[before]
    if not by_after then
      by_after = {}
      alike[before] = by_after
    end
    local found = by_after[after]
    if found == nil then
      found = meaning_of(first)
      by_after[after] = found
    end
    local place = found and #ends + 1
    if found then
      ends[place], ending_lanes[place], jobs[place] = found, unpack_from('>I4', first, BEFORE_LANE + 1), 0
      completions[place] = found.before .. sub(first, BEFORE_LANE + 1)
    end
    places[first] = place
    return place
  end

  local function count_ended(queue, many)
    count(queue, 'r', -many)
    count(queue, 'c', many)
  end

  -- Completes what can be. Returns, to be written by the caller: a letter per outcome, S if it is stale; the records, and the
  -- ids whose run ended; the claims they belong to, with whether it is this session's and how many of its runs ended; and the
  -- places of the outcomes that are left to be applied one by one.
  function complete(session, ids, runs, outcomes)
    local letters, records, dropped, claims, rest = {}, {}, {}, {}, {}
    local seen, apart, n = {}, {}, 0
    -- One of the same lane often follows. Jobs of a lane that were enqueued in the same instant and claimed together even have
    -- the same run, and the same end.
    local last_run, last_first, of_run, place, found, completed_run
    for i = 1, #ids do
      local id, run, letter, of_claim = ids[i], runs[i], 'S', nil
      if run and not seen[id] then
        seen[id] = true
        if run ~= last_run then
          local whose, first = sub(run, -WHOSE_LEN), sub(run, 1, FIRST_LEN)
          of_run = claims[whose]
          if not of_run then
            of_run = { mine = whose_run(run) == session, ended = 0 }
            claims[whose] = of_run
          end
          last_run, completed_run = run, nil
          if of_run.mine and first ~= last_first then
            place = places[first]
            if place == nil then place = end_of(first) end
            last_first, found = first, ends[place]
          end
        end
        of_claim = of_run
      end
      if of_claim and of_claim.mine then
        local outcome = outcomes[i]
        if found and found.epoch == outcome.completes then
          if not completed_run then
            completed_run = completions[place] .. sub(run, FIRST_LEN + 1, STARTED_END) .. completed_at
          end
          local record = completed_run
          if outcome.output ~= '' then
            record = completed(record, HAS_OUTPUT) .. pack('>I4c0', #outcome.output, outcome.output)
          end
          n = n + 1
          dropped[n], records[2 * n - 1], records[2 * n], letter = id, id, record, 'D'
          of_claim.ended = of_claim.ended + 1
          jobs[place] = jobs[place] + 1
          local list = found.list
          local many = list.many + 1
          list.many, list[many] = many, id .. completed_at
          if found.reserved and not outcome.uses_now then
            if outcome.use == 'n' then
              unused[place] = (unused[place] or 0) + 1
            else
              aside[place] = (aside[place] or 0) + 1
              local since = unpack_from('>I6', run, HEAD_LEN + 1)
              apart[#apart + 1] = { { state = RUNNING, lane = ending_lanes[place], reserved = since }, outcome.use, outcome.used_at }
            end
          end
        else
          rest[#rest + 1] = i
        end
      end
      letters[i] = letter
    end
    load_lanes(ending_lanes)
    local queue, of_queue = nil, 0
    for i, end_here in ipairs(ends) do
      local lane, many = lane_of(ending_lanes[i]), jobs[i]
      if lane then
        if lane.queue ~= queue then
          if queue then count_ended(queue, of_queue) end
          queue, of_queue = lane.queue, 0
        end
        of_queue = of_queue + many
        local units = end_here.reserved and many - (aside[i] or 0) or 0
        if units > 0 then settle_units(lane, units, units - (unused[i] or 0)) end
      end
    end
    if queue then count_ended(queue, of_queue) end
    for _, unit in ipairs(apart) do settle(unpack(unit)) end -- each was used at a time of its own
    if n > 0 then changes(concat(dropped)) end
    return letters, records, dropped, claims, rest
  end
end
