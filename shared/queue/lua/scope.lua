-- Reads a scope.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant
-- result  {} if it is not defined; else {paused, open reservations, waiting lanes, then per cap: limit, start and end of the
--       current window (0 if none), used}
-- bounds  8 caps
local id = ARGV[1]
local scope = scope_of(id)
if not scope then return {} end
local answer = { scope.paused and 1 or 0, scope.open, call('ZCARD', k_waiters(id)) }
for i, cap in ipairs(scope.caps) do
  local from, till, used = 0, 0, 0
  for w = 1, #cap, 2 do
    if cap[w] <= now and now < cap[w + 1] then
      from, till = cap[w], cap[w + 1]
      used = tonumber(call('HGET', k_scope(id), 'u:' .. i .. ':' .. from) or 0)
    end
  end
  for _, value in ipairs({ cap.limit, from, till, used }) do answer[#answer + 1] = value end
end
return answer
