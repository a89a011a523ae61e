-- Defines or redefines a scope, and wakes lanes that wait for it.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant, 2 limits (wire/limits.rs), 3 1 if paused, then for each calendar window its counter's name and
--       the units used before
-- result  {1 if it was not known, 1 if it is closed, number of its closing}
-- bounds  wakes up to 32 lanes, after 8 only while there is time; each that finds room wakes the next; 8 caps of 32 windows; counters of windows that ended more than 4 days ago are removed
local id = ARGV[1]
note_master()
local key = k_scope(id)
local before = scope_of(id)
-- Of a window that the limits before counted in, the scope knows more than the books. Of any other it may have missed sends.
local counted_in, known = {}, {}
for _, cap in ipairs(before and before.caps or {}) do
  for at = cap.at, cap.length and 0 or cap.at + 18 * (cap.entries - 1), 18 do
    counted_in[counter_of(unpack_from('>I6I6', before.raw, at))] = true
  end
end
for i = 4, #ARGV, 2 do
  local counter, used = ARGV[i], ARGV[i + 1]
  known[counter] = true
  if not counted_in[counter] and tonumber(used) > tonumber(call('HGET', key, counter) or 0) then
    call('HSET', key, counter, used)
  else
    call('HSETNX', key, counter, used)
  end
end
for _, field in ipairs(call('HKEYS', key)) do
  local till = string.match(field, '^u:%d+:(%d+)$')
  if till and not known[field] and tonumber(till) < now - 4 * DAY_MS then call('HDEL', key, field) end
end
call('HSET', key, 'limits', ARGV[2], 'paused', ARGV[3])
call('HSETNX', key, 'open', 0)
scopes[id] = nil
recipients.look_at[id] = true
local scope = scope_of(id)
if before and before.every > 0 and scope.every > 0 and before.every ~= scope.every and before.tat > now * 1000 then
  -- The starts that were too many stay so many; they are paid for at the new rate.
  scope.tat = now * 1000 + math.ceil((before.tat - now * 1000) / before.every * scope.every)
  call('HSET', key, 'tat', string.format('%.0f', scope.tat))
end
if before and scope.every == 0 then call('HDEL', key, 'tat') end
-- What was used is remembered for as long as the limits of that time needed; these may need it longer.
if scope.longest > 0 then call('PEXPIRE', k_sent(id), string.format('%.0f', math.max(scope.longest, DAY_MS) + DAY_MS), 'GT') end
-- Whoever waits for a time of the old limits learns the new one.
call('ZREM', PARKED, id)
freed[id] = MOST_WOKEN
wake_waiters()
finish()
return { before and 0 or 1, scope.closed and 1 or 0, tonumber(caps_closing(id)) }
