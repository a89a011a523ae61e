-- Cancels a waiting job at once; flags a running one and tells its worker.
-- KEYS  1 jobs
-- ARGV  1 id
-- result  N cancelled now, R requested, F and the state it had ended in, or - if there is no such job
-- bounds  one job. An id that waits in a list stays there and is skipped when its turn comes.
local id = ARGV[1]
local raw = get_record(id)
local r = raw and open_record(raw)
if not r then return '-' end
local lane = lane_of(r.lane)
if r.state == RUNNING then
  r.cancel = true
  call('SADD', CANCELLING, id)
  put_record(id, r)
  call('PUBLISH', channel_cancel(), SHARD .. ' ' .. id)
  changes(id)
  finish()
  return 'R'
end
if r.state ~= AVAILABLE and r.state ~= SCHEDULED and r.state ~= RETRYABLE then return 'F' .. string.char(r.state) end
if r.state ~= AVAILABLE then call('ZREM', DUE, id) end
if lane then count(lane.queue, string.char(r.state), -1) end
settle(r, '?', now) -- its run may have used the unit before its process died
end_record(id, r, CANCELLED)
put_record(id, r)
write_endings()
wake_waiters()
finish()
return 'N'
