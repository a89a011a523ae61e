-- Defines or redefines a scope, and wakes lanes that wait for it.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant, 2 limits (wire/limits.rs), 3 1 if paused, then for each calendar window its counter's name and
--       the units used before
-- result  {1 if it was not known, 1 if it is closed, number of the closing of its shard}
-- bounds  wakes up to 32 lanes, after 8 only while there is time; each that finds room wakes the next; 8 caps of 32 windows; counters of windows that ended more than 4 days ago are removed
local id = ARGV[1]
note_master()
local key = k_scope(id)
local before = scope_of(id)
local known = {}
for i = 4, #ARGV, 2 do
  known[ARGV[i]] = true
  call('HSETNX', key, ARGV[i], ARGV[i + 1])
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
-- Whoever waits for a time of the old limits learns the new one.
call('ZREM', PARKED, id)
freed[id] = MOST_WOKEN
wake_waiters()
finish()
return { before and 0 or 1, scope.closed and 1 or 0, tonumber(caps_closing()) }
