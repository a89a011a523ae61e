-- Writes a progress report into the record of a job that the session holds.
-- KEYS  1 jobs
-- ARGV  1 session, 2 id, 3 epoch, 4 report
-- result  1 written, 0 the lease is lost
-- bounds  one job
local id = ARGV[2]
local raw = call('SISMEMBER', k_held(ARGV[1]), id) == 1 and call('HGET', JOBS, id)
local r = raw and open_record(raw)
if not r or r.state ~= RUNNING or r.epoch ~= tonumber(ARGV[3]) then return 0 end
r.progress = ARGV[4]
call('HSET', JOBS, id, seal_record(r))
changes(id)
finish()
return 1
