-- Takes what waits out of the only lane of the tenant acme as if a session had claimed it that died.
-- KEYS  1 jobs; all stand in blocks
-- ARGV  1 its queue
-- result  how many it took
local p, queue = string.sub(KEYS[1], 1, -5), ARGV[1]
local number = redis.call('HVALS', p .. 'lane_ids')[1]
local ids = redis.call('LPOP', p .. 'lane:' .. number, 256)
if not ids then
  redis.call('DEL', p .. 'ring:' .. queue, p .. 'tenant:' .. queue .. ':acme')
  redis.call('HSET', p .. 'counts', queue .. ':l', 0)
  redis.call('ZADD', p .. 'sessions', 1, 'deceased')
  return 0
end
local claim = 't' .. struct.pack('>I12', redis.call('HLEN', p .. 'claims:deceased'))
for _, id in ipairs(ids) do
  local raw = redis.call('HGET', KEYS[1] .. string.format(':%08x', (struct.unpack('>I4', id, 5))), id)
  local head = string.sub(raw, 1, 1) .. 'r' .. string.sub(raw, 3, 45)
  redis.call('HSET', p .. 'runs', id, head .. 'deceased' .. claim)
end
redis.call('HSET', p .. 'claims:deceased', claim, table.concat(ids))
redis.call('HINCRBY', p .. 'counts', queue .. ':a', -#ids)
redis.call('HINCRBY', p .. 'counts', queue .. ':r', #ids)
return #ids
