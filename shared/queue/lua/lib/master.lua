-- When a replica takes over as the master of a shard, it may lack the last writes of its master: the shard's scopes are closed
-- (scopes.lua). Redis says so itself: a promotion gives a new replication id and keeps the one before. A restart gives a new
-- one only, and is no change, because the log has everything.
local closings_now, note_master
do
  local closings, id
  -- How many times the scopes of this shard were closed. Reads only.
  function closings_now()
    if closings then return closings end
    local info = call('INFO', 'replication')
    local meta = call('HMGET', META, 'replid', 'caps')
    closings = tonumber(meta[2] or 0)
    local found = string.match(info, 'master_replid:(%x+)')
    if found and found ~= meta[1] then
      id = found
      local before = string.match(info, 'master_replid2:(%x+)')
      if meta[1] and before and string.find(before, '[^0]') then closings = closings + 1 end
    end
    return closings
  end

  -- Writes down what it finds. Somebody must, before the next change: it is noticed by the difference.
  function note_master()
    closings_now()
    if id then
      call('HSET', META, 'replid', id, 'caps', closings)
      id = nil
    end
    return closings
  end
end
