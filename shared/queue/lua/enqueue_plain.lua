-- Creates up to 256 plain jobs of one shard, each if absent: no unique key, no idempotency key, no time.
-- KEYS  1 jobs
-- ARGV  1 number of lanes, then the lanes; number of kinds, then the kinds; then groups of jobs (lib/plain.lua)
-- result  one letter per job: C created, E exists; or an error as in enqueue.lua
-- bounds  n <= 256 jobs; nothing is written unless all of it is well formed
local at = 1
local function names()
  local list = {}
  for i = 1, tonumber(ARGV[at]) do list[i] = ARGV[at + i] end
  at = at + #list + 1
  return list
end
local lane_names, kind_names = names(), names()
local letters = create_plain(at, lane_names, kind_names)
if type(letters) == 'table' then return letters end
finish()
return letters
