-- Pauses or resumes a queue in this shard.
-- KEYS  1 jobs
-- ARGV  1 queue, 2 1 to pause, 0 to resume
-- result  1
-- bounds  one key
if ARGV[2] == '1' then
  call('SADD', PAUSED, ARGV[1])
else
  call('SREM', PAUSED, ARGV[1])
  call('PUBLISH', channel_wake(ARGV[1]), SHARD)
end
return 1
