-- Reads records.
-- KEYS  1 jobs
-- ARGV  ids
-- result  {record or false per id..., lane numbers and lanes, kind numbers and kinds}: three lists
-- bounds  n <= 256 ids
local ids = {}
for i = 1, math.min(#ARGV, 256) do ids[i] = ARGV[i] end
return describe(ids, get_records(ids))
