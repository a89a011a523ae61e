-- Sets how many jobs may wait in the queues of this shard. Replaces what was set before.
-- KEYS  1 jobs
-- ARGV  1 limit of every queue without one of its own, or empty for none; then queue and limit, repeated
-- result  1
-- bounds  256 queues
local old = { 'd' }
for field in pairs(gate or {}) do
  if sub(field, 1, 2) == 'd:' then old[#old + 1] = field end
end
call_many('HDEL', GATE, old, 256)
if ARGV[1] ~= '' then call('HSET', GATE, 'd', ARGV[1]) end
for i = 2, #ARGV, 2 do call('HSET', GATE, 'd:' .. ARGV[i], ARGV[i + 1]) end
return 1
