-- Notes that the handler of a job begins, which a second crash of its process is held against.
-- KEYS  1 jobs
-- ARGV  1 session, 2 id
-- result  1 noted, 0 the session does not hold it
-- bounds  one job
if not held_record(ARGV[1], ARGV[2]) then return 0 end
call('SADD', k_started(ARGV[1]), ARGV[2])
return 1
