-- Makes a job that waits for a time available now.
-- KEYS  1 jobs
-- ARGV  1 id
-- result  N now, W and its state if it does not wait for a time, or - if there is no such job
-- bounds  one job
local id = ARGV[1]
local raw = get_record(id)
local r = raw and open_record(raw)
if not r then return '-' end
if r.state ~= SCHEDULED and r.state ~= RETRYABLE then return 'W' .. string.char(r.state) end
local lane = lane_of(r.lane)
if lane then count(lane.queue, string.char(r.state), -1) end
call('ZREM', DUE, id)
r.state, r.run = AVAILABLE, now
put_record(id, r)
make_available({ { id, r } }, false)
changes(id)
finish()
return 'N'
