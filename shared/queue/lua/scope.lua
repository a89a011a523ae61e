-- Reads a scope.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant
-- result  {} if it is not defined; else {paused, 1 if it is closed, number of its closing, open reservations, jobs in flight, waiting lanes, recipients
--       that wait for a cap, then per cap: 1 if of recipients, limit, start and end of the current window (0 if none), used}
-- bounds  8 caps
local id = ARGV[1]
local scope = scope_of(id)
if not scope then return {} end
local answer = {
  scope.paused and 1 or 0, scope.closed and 1 or 0, tonumber(caps_closing(id)), scope.open,
  math.max(scope.open - scope.idle, 0), call('ZCARD', k_waiters(id)), call('ZCARD', recipients.k_newcomers(id)),
}
for _, cap in ipairs(scope.all) do
  local n = #answer
  local of_people = cap.unit == 114
  answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4], answer[n + 5] = of_people and 1 or 0, 0, 0, 0, 0
  if cap.limit then
    answer[n + 2], answer[n + 3], answer[n + 4] = cap.limit, cap.from, cap.length and now or cap.till
    answer[n + 5] = of_people and call('ZCOUNT', recipients.k_people(id), recipients.least_of(cap), '(' .. string.format('%.0f', recipients.OPEN))
      or used_of(scope, cap)
  end
end
return answer
