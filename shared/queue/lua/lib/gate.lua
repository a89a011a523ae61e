-- What a shard does not take now. The hash `gate` is there only if something is closed, so an open shard costs one look.
--   full     until when (ms) no new jobs come in, because memory runs short; memory.lua renews it
--   d:Q      most jobs that may wait in queue Q of this shard      d   the same for every queue without a limit of its own
--   move     the shard goes to another server: `draining` (no job is claimed), `moving` (nothing is written), `moved` (nothing
--            is here any more), or at the other `arriving`; `to` is its name (move.lua). The
--            first two hold only as long as the command that moves it is at work: `mover` is its token, for 15 s; then the next
--            step of maintenance removes them
-- A limit holds for jobs that come from outside. What jobs bring with them (follow-ups, completions of batches, retries) always
-- comes in: it was promised when they were taken.
local gate
if call('EXISTS', GATE) == 1 then
  gate = {}
  local fields = call('HGETALL', GATE)
  for i = 1, #fields, 2 do gate[fields[i]] = fields[i + 1] end
end
local leaving = gate and gate.move
if (leaving == 'draining' or leaving == 'moving') and call('EXISTS', P .. 'mover') == 0 then leaving = nil end
if leaving == 'moved' then return redis.error_reply('SHARDMOVED the shard lives on another server') end
if leaving == 'arriving' or (leaving == 'moving' and not READING) then
  return redis.error_reply('SHARDMOVING the shard is on its way to another server')
end

-- Why these new jobs, counted by queue, are refused: all of them or none. Asked before the first write.
local function refusal(new)
  if not gate or not next(new) then return end
  if gate.full and tonumber(gate.full) > now then return redis.error_reply('QUEUEFULL memory is nearly used up') end
  for queue, many in pairs(new) do
    local limit = tonumber(gate['d:' .. queue] or gate.d or '')
    if limit then
      local waiting = 0
      for _, jobs in ipairs(call('HMGET', COUNTS, queue .. ':a', queue .. ':s', queue .. ':t')) do
        waiting = waiting + tonumber(jobs or 0)
      end
      if waiting + many > limit then
        return redis.error_reply(string.format('QUEUEDEEP %s %d %d', queue, waiting, limit))
      end
    end
  end
end
