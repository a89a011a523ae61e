-- Watches the memory of the server that the shard is on, for as long as somebody takes care of it.
local LOOK_EVERY = 500

-- Closes the shard for new jobs while more than `percent` of maxmemory is in use. Buffers of the log and of replicas are not
-- counted, as Redis does not count them itself. A server that does not show its memory refuses by itself when it is full.
local function watch_memory(percent)
  local HOLDS_FOR = 3000
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return end
  local function figure(name) return tonumber(string.match(info, '\n' .. name .. ':(%d+)') or 0) end
  local most = figure('maxmemory')
  local used = figure('used_memory') - figure('mem_not_counted_for_evict')
  if most > 0 and used > most * percent / 100 then
    call('HSET', GATE, 'full', now + HOLDS_FOR)
  elseif gate and gate.full then
    call('HDEL', GATE, 'full')
  end
end
