-- What a session holds, and taking it back.

-- Takes back up to `most` of its jobs: each goes to the head of its lane with its reservation and without an attempt. One
-- that was asked to stop ends instead; its handler may have been in the middle of a send, so its unit stays charged.
-- `charge`, if given, is called with the id and record of each, and may give a reason why it must be buried. Returns how
-- many, and whether the session holds more.
local function take_back(session, most, charge)
  local held = k_held(session)
  local ids = call('SPOP', held, most)
  local raws, records, jobs = get_records(ids), {}, {}
  for i, id in ipairs(ids) do
    local r = raws[i] and open_record(raws[i])
    if r and r.state == RUNNING then
      local lane = lane_of(r.lane)
      if lane then count(lane.queue, 'r', -1) end
      local poison = charge and charge(id, r)
      if poison then
        settle(r, '?', now)
        r.error = poison
        end_record(id, r, BURIED)
      elseif r.cancel then
        settle(r, '?', now)
        end_record(id, r, CANCELLED)
      else
        r.state, r.run, r.attempt = AVAILABLE, now, math.max(r.attempt - 1, 0)
        jobs[#jobs + 1] = { id, r }
        changes(id)
      end
      records[#records + 1] = id
      records[#records + 1] = seal_record(r)
    end
  end
  if #records > 0 then call_many('HSET', JOBS, records, 400) end
  write_endings()
  make_available(jobs, true)
  return #ids, call('EXISTS', held) == 1
end

local function forget_session(session)
  call('ZREM', SESSIONS, session)
  call('HDEL', ANSWERS, session)
  call('HDEL', SUSPECT_OF, session)
end
