-- Reads records.
-- KEYS  1 jobs
-- ARGV  ids
-- result  {id and record per id, the id alone if there is none..., lane numbers and lanes, kind numbers and kinds}: three lists;
--         and the ids for which a call that is not long has no room
-- bounds  n <= 256 ids, 1 MiB of records
local ids = {}
for i = 1, math.min(#ARGV, 256) do ids[i] = ARGV[i] end
local answer, others = describe_first(ids)
answer[4] = others
return answer
