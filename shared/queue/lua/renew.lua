-- Opens a session, or tells that it lives.
-- KEYS  1 jobs
-- ARGV  1 session, 2 time to live in ms, 3 1 to open it
-- result  {1, ids asked to stop...} or {0} if the session is unknown or being reaped
-- bounds  up to 100 ids asked to stop; up to 256 charges withdrawn
local session, ttl = ARGV[1], tonumber(ARGV[2])
local expiry = call('ZSCORE', SESSIONS, session)
if ARGV[3] ~= '1' and (not expiry or tonumber(expiry) == 0) then
  -- It was taken for dead but lives: no crash, so the jobs it held are not suspect.
  local ids = call('LRANGE', k_charged(session), 0, 255)
  if #ids > 0 then
    local raws, records = get_records(ids), {}
    for i, id in ipairs(ids) do
      local r = raws[i] and open_record(raws[i])
      if r and r.crashes > 0 and (r.state == AVAILABLE or r.state == RUNNING or r.state == SCHEDULED or r.state == RETRYABLE) then
        r.crashes = r.crashes - 1
        records[#records + 1] = id
        records[#records + 1] = seal_record(r)
      end
    end
    if #records > 0 then call_many('HSET', JOBS, records, 400) end
    call('LTRIM', k_charged(session), #ids, -1)
  end
  return { 0 }
end
call('ZADD', SESSIONS, now + ttl, session)
local answer = { 1 }
for _, id in ipairs(call('SRANDMEMBER', CANCELLING, 100)) do answer[#answer + 1] = id end
return answer
