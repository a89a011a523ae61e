-- Opens a batch, gives it a completion job, seals it. Repeats change nothing.
-- KEYS  1 jobs
-- ARGV  1 batch, 2 tenant, 3 1 to seal it, then if it has a completion job: 4 its item (wire.rs), 5 its lane, 6 its kind
-- result  1, or 0 if the batch is another tenant's; or an error if memory runs short and the batch, or its completion job, is new
--         (lib/gate.lua), or if the shard has no number for its kind
-- bounds  one batch, one job. A batch that is never sealed is forgotten 90 days after it was last opened.
local key = k_batch(ARGV[1])
local fields = call('HMGET', key, 'tenant', 'ended', 'sealed', 'then')
if fields[1] and fields[1] ~= ARGV[2] then return 0 end
if fields[2] then return 1 end
-- It waits in no queue yet, so only memory is asked.
local is_new = not fields[1] or (ARGV[4] and not fields[4])
local full = is_new and ARGV[3] ~= '1' and refusal({ [''] = 0 })
if full then return full end
if ARGV[6] then
  local numbered = numbers_of({ ARGV[6] }, KIND_IDS, KINDS, 'kind')
  if numbered.err then return numbered end
end
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
