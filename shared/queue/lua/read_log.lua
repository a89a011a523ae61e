-- Reads the log of a job.
-- KEYS  1 jobs
-- ARGV  1 id
-- result  per line its time I6 and its text, oldest first
-- bounds  200 lines
return call('LRANGE', k_log(ARGV[1]), 0, -1)
