-- Creates up to 256 jobs of one shard, each if absent.
-- KEYS  1 jobs
-- ARGV  1 number of lanes, then the lanes; number of kinds, then the kinds; then one item per job (wire.rs)
-- result  one letter and id per job: C created, E exists, U unique key taken by, I idempotency key used by; or an error,
--         QUEUEFULL or QUEUEDEEP with queue, waiting jobs and limit, if the shard takes no new jobs now (lib/gate.lua), or NEWKINDS
--         with the kinds for which it has no number left
-- bounds  n <= 256 jobs; nothing is written unless all of it is well formed
local at = 1
local function names()
  local list = {}
  for i = 1, tonumber(ARGV[at]) do list[i] = ARGV[at + i] end
  at = at + #list + 1
  return list
end
local lane_names, kind_names = names(), names()
local items = {}
for i = at, #ARGV do items[#items + 1] = ARGV[i] end
if #items > 256 then return redis.error_reply('ERR more than 256 jobs in one call') end
local answers, refused = create(items, lane_names, kind_names, true)
if refused then return refused end
finish()
return concat(answers)
