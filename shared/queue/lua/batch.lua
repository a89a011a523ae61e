-- Opens a batch, gives it a completion job, seals it. Repeats change nothing.
-- KEYS  1 jobs
-- ARGV  1 batch, 2 tenant, 3 1 to seal it, then if it has a completion job: 4 its item (wire.rs), 5 its lane, 6 its kind
-- result  1, or 0 if the batch is another tenant's
-- bounds  one batch, one job. A batch that is never sealed is forgotten 90 days after it was last opened.
local key = k_batch(ARGV[1])
local fields = call('HMGET', key, 'tenant', 'ended', 'sealed')
if fields[1] and fields[1] ~= ARGV[2] then return 0 end
if fields[2] then return 1 end
call('HSETNX', key, 'tenant', ARGV[2])
call('HSETNX', key, 'opened', now)
if ARGV[4] and call('HSETNX', key, 'item', ARGV[4]) == 1 then
  call('HSET', key, 'lane', ARGV[5], 'kind', ARGV[6], 'then', sub(ARGV[4], 1, 14))
end
if ARGV[3] == '1' then
  call('HSET', key, 'sealed', 1)
  call('PERSIST', key)
  close_batch(key)
elseif not fields[3] then
  call('PEXPIRE', key, 90 * 86400000)
end
finish()
return 1
