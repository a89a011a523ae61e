-- Defines or redefines a scope, and wakes a lane that waits for it.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant, 2 caps (packed as in wire.rs), 3 1 if paused, then for each window its counter's name and
--       the units used before
-- result  1
-- bounds  8 caps of 32 windows; counters of windows that ended more than 3 days ago are removed
local id = ARGV[1]
local key = k_scope(id)
local known = {}
for i = 4, #ARGV, 2 do
  known[ARGV[i]] = true
  call('HSETNX', key, ARGV[i], ARGV[i + 1])
end
for _, field in ipairs(call('HKEYS', key)) do
  local start = string.match(field, '^u:%d+:(%d+)$')
  if start and not known[field] and tonumber(start) < now - 4 * 86400000 then call('HDEL', key, field) end
end
call('HSET', key, 'caps', ARGV[2], 'paused', ARGV[3])
call('HSETNX', key, 'open', 0)
freed[id] = 32
wake_waiters()
finish()
return 1
