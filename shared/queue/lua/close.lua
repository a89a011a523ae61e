-- Ends a session in steps: what it still holds goes back to the head of its lanes, without an attempt.
-- KEYS  1 jobs
-- ARGV  1 session
-- result  1 if it holds more; 0 when the session is gone
-- bounds  n <= 256 jobs per call, the first 32, or 512 KiB, only once 2 ms are used; 256 charges withdrawn, or
--         512 KiB, if it was taken for dead meanwhile
local session = ARGV[1]
if not call('ZSCORE', SESSIONS, session) then withdraw_charges(session, 256) end
local _, more = in_slices(256, function(n) return take_back(session, n) end)
if not more then forget_session(session) end
wake_waiters()
finish()
return more and 1 or 0
