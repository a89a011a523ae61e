-- Opens a session, or tells that it lives.
-- KEYS  1 jobs
-- ARGV  1 session, 2 time to live in ms, 3 1 to open it, then the queues that it claims from
-- result  {1, ids asked to stop...} or {0} if the session is unknown or being reaped
-- bounds  up to 100 ids asked to stop; up to 256 charges withdrawn, or 512 KiB
local session, ttl = ARGV[1], tonumber(ARGV[2])
local expiry = call('ZSCORE', SESSIONS, session)
if ARGV[3] ~= '1' and (not expiry or tonumber(expiry) == 0) then
  withdraw_charges(session, 256)
  return { 0 }
end
call('ZADD', SESSIONS, now + ttl, session)
if ARGV[4] then
  local served = {}
  for i = 4, #ARGV do served[#served + 1], served[#served + 2] = ARGV[i], now + ttl end
  call_many('HSET', P .. 'served', served, 256)
  call('PEXPIRE', P .. 'served', ttl + 60000)
end
local answer = { 1 }
for _, id in ipairs(call('SRANDMEMBER', CANCELLING, 100)) do answer[#answer + 1] = id end
return answer
