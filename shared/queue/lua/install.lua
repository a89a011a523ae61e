-- Records protocol version and number of shards on the first start; tells what is recorded.
-- KEYS  1 jobs of shard 0
-- ARGV  1 newest protocol version that the caller speaks, 2 shards, 3 1 if what is older is raised to it
-- result  {newest protocol version that has data here, shards}
-- bounds  two keys. The newest version stands under a name without a version, so that whoever is older finds it, whatever its keys.
local newest = string.format('{%s:%s}:protocol', SPACE, SHARD)
-- Where programs are at work that nobody installed, an empty server took the place of another. Of what version they are nobody
-- knows, so it is of the oldest, until one that does says so (tick.lua) or an operator.
local at_work = call('EXISTS', META, SESSIONS) > 0
call('HSETNX', META, 'protocol', at_work and '1' or ARGV[1])
call('HSETNX', META, 'shards', ARGV[2])
local found = call('HMGET', META, 'protocol', 'shards')
local known = math.max(tonumber(call('GET', newest) or 0), tonumber(found[1]))
if ARGV[3] == '1' then
  known = math.max(known, tonumber(ARGV[1]))
  call('HSET', META, 'protocol', known)
end
call('SET', newest, known)
return { tostring(known), found[2] }
