-- Closes one scope, defined or not.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant
-- result  the number of this closing, which is to be named to open it
-- bounds  one key
call('HSET', k_scope(ARGV[1]), 'opened', '-')
call('HINCRBY', k_scope(ARGV[1]), 'shut', 1)
return tonumber(caps_closing(ARGV[1]))
