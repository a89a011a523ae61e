-- A step of moving a shard to another server: moves the gate, never a job (client/moving.rs has the order of the steps).
-- KEYS  1 jobs
-- ARGV  1 step, 2 token of the command that moves it, 3 name of the server it moves to; for `receive` then fields and values
--       of the gate that goes along
-- result  what is the case now: `ok`, or a word that says why the step was not taken
-- bounds  a few keys
--   begin    no job is claimed any more, unless another command is at it
--   hold     the command is still at it: closed is a shard only as long as it says so
--   close    nothing is written any more, once no job runs (else `held`)
--   receive  at the target: closed until it has everything
--   leave    the shard lives elsewhere: the one step after which there is no way back
--   open     at the target: it may be used
--   drop     at a server that has half a copy, which is deleted by now: it has none
--   give_up  the shard stays where it is
local P = string.sub(KEYS[1], 1, -5)
local GATE, MOVER, HOLD = P .. 'gate', P .. 'mover', 15000
local call = redis.call
local step, token, target = ARGV[1], ARGV[2], ARGV[3]
local state, to = unpack(call('HMGET', GATE, 'move', 'to'))

if step == 'receive' then
  if (state == 'draining' or state == 'moving') and call('EXISTS', MOVER) == 1 then return state end
  call('DEL', GATE)
  call('HSET', GATE, 'move', 'arriving', unpack(ARGV, 4))
  return 'ok'
elseif step == 'open' then
  if state ~= 'arriving' then return state or 'open' end
  call('HDEL', GATE, 'move', 'to')
  call('HDEL', P .. 'meta', 'replid') -- another server is no other master of the same
  -- Workers look again at the queues that wait here.
  local space, shard = string.match(P, '^{([^:}]*):(%d+)}')
  for _, field in ipairs(call('HKEYS', P .. 'counts')) do
    local queue = string.match(field, '^(.*):a$')
    if queue then call('PUBLISH', space .. ':wake:' .. queue, shard) end
  end
  return 'ok'
end

if step == 'drop' then
  if state == 'arriving' then call('DEL', GATE) end
  return 'ok'
end

if state == 'moved' or state == 'arriving' then return state end
local mover = call('GET', MOVER)
if step == 'begin' then
  if mover then return 'busy' end
  call('SET', MOVER, token, 'PX', HOLD)
  call('HSET', GATE, 'move', 'draining', 'to', target)
  return 'ok'
end
-- Of a command that was killed or stood still nothing is left but words in the gate.
if mover ~= token and not (step == 'give_up' and not mover) then return 'busy' end
if step == 'hold' then
  call('PEXPIRE', MOVER, HOLD)
elseif step == 'close' then
  call('PEXPIRE', MOVER, HOLD)
  if call('EXISTS', P .. 'runs') == 1 then return 'held' end
  call('HSET', GATE, 'move', 'moving')
elseif step == 'leave' then
  if state ~= 'moving' then return state or 'open' end
  call('DEL', GATE, MOVER)
  call('HSET', GATE, 'move', 'moved', 'to', target)
elseif step == 'give_up' then
  call('HDEL', GATE, 'move', 'to')
  call('DEL', MOVER)
end
return 'ok'
