-- Opens a scope that was restored, unless it, or its shard, was closed again meanwhile.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant, 2 number of the closing after which it was restored
-- result  1 it is open, 0 it was closed again
-- bounds  wakes up to 32 lanes, after 8 only while there is time; each that finds room wakes the next
local id = ARGV[1]
note_master()
if ARGV[2] ~= caps_closing(id) then return 0 end
call('HSET', k_scope(id), 'opened', caps_closing())
scopes[id] = nil
freed[id] = 32
recipients.look_at[id] = true
wake_waiters()
finish()
return 1
