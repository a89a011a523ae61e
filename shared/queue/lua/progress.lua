-- Writes a progress report into the record of a job that the session holds.
-- KEYS  1 jobs
-- ARGV  1 session, 2 id, 3 epoch, 4 report
-- result  1 written, 0 the lease is lost
-- bounds  one job
local id = ARGV[2]
local r = held_record(ARGV[1], id)
if not r or r.epoch ~= tonumber(ARGV[3]) then return 0 end
r.progress = ARGV[4]
put_record(id, r)
changes(id)
finish()
return 1
