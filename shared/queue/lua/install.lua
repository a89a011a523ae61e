-- Records protocol version and number of shards on the first start; tells what is recorded.
-- KEYS  1 jobs of shard 0
-- ARGV  1 protocol version, 2 shards
-- result  {protocol version, shards}
-- bounds  one key
call('HSETNX', META, 'protocol', ARGV[1])
call('HSETNX', META, 'shards', ARGV[2])
return call('HMGET', META, 'protocol', 'shards')
