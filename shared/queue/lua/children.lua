-- Reads the newest children of a job.
-- KEYS  1 jobs
-- ARGV  1 id
-- result  four lists as in read.lua
-- bounds  n <= 256, the newest first, 1 MiB of records
local ids = call('LRANGE', k_children(ARGV[1]), 0, 255)
local answer, others = describe_first(ids)
answer[4] = others
return answer
