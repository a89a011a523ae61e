-- Reads the newest children of a job.
-- KEYS  1 jobs
-- ARGV  1 id
-- result  three lists as in read.lua (an id alone has no record any more)
-- bounds  n <= 256, the newest first
local ids = call('LRANGE', k_children(ARGV[1]), 0, 255)
return describe(ids, get_records(ids))
