-- Tells which server holds which shard, after taking in what others know. Every server of the queue keeps the whole list.
-- KEYS  1 the list of this server
-- ARGV  1 a name for this server should it have none, then shard and entry by turns; an entry is `version name`
-- result  {name of this server, {shards and entries by turns}}
-- bounds  1,024 shards; an entry gives way to a later version only
local key = KEYS[1]
redis.call('HSETNX', key, 'name', ARGV[1])
for i = 2, #ARGV, 2 do
  local known = redis.call('HGET', key, ARGV[i])
  local version = tonumber(string.match(ARGV[i + 1], '^%d+'))
  if not known or tonumber(string.match(known, '^%d+')) < version then redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
local list, name = {}, ''
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  if all[i] == 'name' then
    name = all[i + 1]
  else
    list[#list + 1] = all[i]
    list[#list + 1] = all[i + 1]
  end
end
return { name, list }
