-- Closes all scopes of a shard, also those that nobody has defined yet: none gives a unit until it is restored and opened.
-- KEYS  1 jobs
-- ARGV  1 what happened, such as the id of a new master: the same cause closes once
-- result  the number of this closing
-- bounds  one key, however many scopes there are
note_master()
if call('HGET', META, 'caps_cause') == ARGV[1] then return tonumber(call('HGET', META, 'caps')) end
call('HSET', META, 'caps_cause', ARGV[1])
return call('HINCRBY', META, 'caps', 1)
