-- Ends a session in steps: what it still holds goes back to the head of its lanes, without an attempt.
-- KEYS  1 jobs
-- ARGV  1 session
-- result  1 if it holds more; 0 when the session is gone
-- bounds  n <= 256 jobs per call
local session = ARGV[1]
local _, more = take_back(session, 256)
if not more then forget_session(session) end
wake_waiters()
finish()
return more and 1 or 0
