-- Most runs end well, at the first crash-free attempt, with nothing in their record but the payload and perhaps a reservation:
-- the end of such a job changes a few bytes of its head. They are completed here, many at a time; what concerns their lane, its
-- scopes and the counters is done once per lane.
local complete
do
  local completed_at = pack('>I6', now)

  local function completed(first, flags) return sub(first, 1, 1) .. string.char(COMPLETED, flags) .. sub(first, 4) end

  -- What the first parts of running records mean, and how they read when the job is completed.
  local ends, ending_lanes = {}, {}
  local function end_of(first)
    local _, state, flags, keep, _, lane, _, _, _, crashes, epoch = unpack_from(FIRST, first)
    local found = false
    if state == RUNNING and (flags == 0 or flags == RESERVED) and crashes == 0 then
      local list = ended.by_class[keep]
      if not list then list = {}; ended.by_class[keep] = list end
      list.many = #list
      found = { lane = lane, epoch = epoch, bare = completed(first, 0), list = list, jobs = 0, reserved = flags == RESERVED,
        unused = 0, apart = 0 }
      ending_lanes[#ending_lanes + 1] = lane
    end
    ends[first] = found
    return found
  end

  -- Completes what can be. Returns, to be written by the caller: a letter per outcome, S if it is stale; the records, and the
  -- ids whose run ended; the claims they belong to, with whether it is this session's and how many of its runs ended; and the
  -- places of the outcomes that are left to be applied one by one.
  function complete(session, ids, runs, outcomes)
    local letters, records, dropped, claims, rest = {}, {}, {}, {}, {}
    local seen, apart, n = {}, {}, 0
    for i = 1, #ids do
      local id, run, letter, of_claim = ids[i], runs[i], 'S', nil
      if run and not seen[id] then
        seen[id] = true
        local whose = sub(run, -WHOSE_LEN)
        of_claim = claims[whose]
        if not of_claim then
          of_claim = { mine = whose_run(run) == session, ended = 0 }
          claims[whose] = of_claim
        end
      end
      if of_claim and of_claim.mine then
        local first, outcome = sub(run, 1, FIRST_LEN), outcomes[i]
        local found = ends[first]
        if found == nil then found = end_of(first) end
        if found and found.epoch == outcome.completes then
          local record = found.bare .. sub(run, FIRST_LEN + 1, STARTED_END) .. completed_at
          if outcome.output ~= '' then
            record = completed(record, HAS_OUTPUT) .. pack('>I4c0', #outcome.output, outcome.output)
          end
          n = n + 1
          dropped[n], records[2 * n - 1], records[2 * n], letter = id, id, record, 'D'
          of_claim.ended = of_claim.ended + 1
          found.jobs = found.jobs + 1
          local list = found.list
          local many = list.many + 1
          list.many, list[many] = many, id .. completed_at
          if found.reserved and not outcome.uses_now then
            if outcome.use == 'n' then
              found.unused = found.unused + 1
            else
              found.apart = found.apart + 1
              local since = unpack_from('>I6', run, HEAD_LEN + 1)
              apart[#apart + 1] = { { state = RUNNING, lane = found.lane, reserved = since }, outcome.use, outcome.used_at }
            end
          end
        else
          rest[#rest + 1] = i
        end
      end
      letters[i] = letter
    end
    load_lanes(ending_lanes)
    for _, found in pairs(ends) do
      local lane = found and lane_of(found.lane)
      if lane then
        count(lane.queue, 'r', -found.jobs)
        count(lane.queue, 'c', found.jobs)
        local units = found.reserved and found.jobs - found.apart or 0
        if units > 0 then settle_units(lane, units, units - found.unused) end
      end
    end
    for _, unit in ipairs(apart) do settle(unpack(unit)) end -- each was used at a time of its own
    if n > 0 then changes(concat(dropped)) end
    return letters, records, dropped, claims, rest
  end
end
