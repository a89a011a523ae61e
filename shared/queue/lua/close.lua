-- Ends a session in steps: what it still holds goes back to the head of its lanes, without an attempt.
-- KEYS  1 jobs
-- ARGV  1 session
-- result  jobs still held; 0 when the session is gone
-- bounds  n <= 256 jobs per call
local session = ARGV[1]
local held = k_held(session)
local ids = call('SPOP', held, 256)
local raws, records, jobs = get_records(ids), {}, {}
for i, id in ipairs(ids) do
  local r = raws[i] and open_record(raws[i])
  if r and r.state == RUNNING then
    local lane = lane_of(r.lane)
    if lane then count(lane.queue, 'r', -1) end
    if r.cancel then
      settle(r, 'n', now)
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
wake_waiters()
local left = call('SCARD', held)
if left == 0 then
  call('ZREM', SESSIONS, session)
  call('HDEL', ANSWERS, session)
  call('HDEL', SUSPECT_OF, session)
end
finish()
return left
