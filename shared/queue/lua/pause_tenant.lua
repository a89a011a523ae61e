-- Pauses or resumes a tenant, in all queues.
-- KEYS  1 jobs
-- ARGV  1 tenant, 2 1 to pause, 0 to resume
-- result  1
-- bounds  one key to pause; to resume, as many as there are queues
local tenant, stopped = ARGV[1], P .. 'stopped'
local away = P .. 'away:' .. tenant
if ARGV[2] == '1' then
  call('SADD', stopped, tenant)
  return 1
end
call('SREM', stopped, tenant)
for _, queue in ipairs(call('SMEMBERS', away)) do
  if call('EXISTS', k_tenant(queue, tenant, 0), k_tenant(queue, tenant, 1), k_tenant(queue, tenant, 2)) > 0 then
    -- Its lists may have run empty and begun anew, which brought it back already.
    if not call('LPOS', k_ring(queue), tenant) then call('RPUSH', k_ring(queue), tenant) end
    woken[queue] = true
  end
end
call('DEL', away)
finish()
return 1
