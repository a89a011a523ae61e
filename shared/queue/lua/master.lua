-- Tells which process is the master of this shard, and how many times the shard's scopes were closed.
-- KEYS  1 jobs
-- result  {its replication id, a number that only grows}; {} if the shard holds nothing at all
-- bounds  one key
if call('EXISTS', META, JOBS, P .. 'blocks') == 0 then return {} end
local closings = note_master()
return { call('HGET', META, 'replid'), closings }
