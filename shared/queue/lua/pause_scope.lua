-- Pauses or resumes a scope.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant, 2 1 to pause, 0 to resume
-- result  1, or 0 if the scope is not defined
-- bounds  wakes up to 32 lanes, after 8 only while there is time; each that finds room wakes the next
local id = ARGV[1]
if not scope_of(id) then return 0 end
call('HSET', k_scope(id), 'paused', ARGV[2])
scope_of(id).paused = ARGV[2] == '1'
freed[id] = 32
recipients.look_at[id] = true
wake_waiters()
finish()
return 1
