-- Closes one scope, defined or not.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant
-- result  the number of the closing of its shard that is to be named to open it
-- bounds  one key
call('HSET', k_scope(ARGV[1]), 'opened', '-')
return tonumber(caps_closing())
