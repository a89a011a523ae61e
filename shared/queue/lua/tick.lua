-- One bounded step of maintenance: rescue, promotion, unparking, pruning, cancelled lanes.
-- KEYS  1 jobs
-- ARGV  1 grace in ms given to all sessions after an outage, 2 percent of maxmemory from which no new jobs come in, 3 newest
--       protocol version of the data as the caller knows it, or nothing
-- result  {promoted, rescued, scopes whose time came, pruned, 1 if more is due, ms until the next job or scope is due or -1, 1 if suspects wait}
-- bounds  n <= 96 rescued, 96 charges withdrawn, 160 ids of a bucket, 160 promoted, 96 unique keys, 64 scopes, 64 timers of
--         recipients, 96 pruned, 96 cancelled with their lane, 1,024 sessions and as many scopes and timers after a leap of the clock; but for scopes, timers and sessions no more than
--         the first 32 of each, or 512 KiB, once 2 ms are used
local GAP, EVERY, more = 2000, 500, 0
local last, grace, looked = unpack(call('HMGET', META, 'tick', 'grace', 'looked'))
last, grace, looked = tonumber(last or 0), tonumber(grace or 0), tonumber(looked or 0)

-- A gap between ticks means that Redis was away, so heartbeats may be missing through no fault of their senders.
if last > 0 and (now - last > GAP or now < last) then
  grace = now + tonumber(ARGV[1])
  call('HSET', META, 'grace', grace)
  -- The clock was set back. Each session is left what it had when the clock was seen last, and no less than the grace, in which
  -- who lives tells so: by its old time a dead one would live on for as long as the clock leapt.
  local far = now < last and call('ZRANGEBYSCORE', SESSIONS, '(' .. grace, '+inf', 'WITHSCORES', 'LIMIT', 0, 1024) or {}
  for i = 2, #far, 2 do call('ZADD', SESSIONS, math.max(grace, tonumber(far[i]) - (last - now)), far[i - 1]) end
  -- Until that time comes again, no rate owes what it owed by then (scopes.lua). Who waits for a time looks what it is now.
  if now < last then
    call('HSET', META, 'back', math.max(last, tonumber(call('HGET', META, 'back') or 0)))
    for _, key in ipairs({ PARKED, recipients.TILL }) do
      for _, entry in ipairs(call('ZRANGEBYSCORE', key, '(' .. now, '+inf', 'LIMIT', 0, 1024)) do call('ZADD', key, now, entry) end
    end
  end
end
if now - last >= EVERY or now < last then
  call('HSET', META, 'tick', now)
  note_master()
end

-- Of a command that moved the shard and was killed only these words are left: while they stand, short ways are closed.
if gate and gate.move and not leaving then call('HDEL', GATE, 'move', 'to') end

-- The data may be another's: an empty server in the place of the one that had it. Who works on it says what is to be kept.
if SHARD == '0' and tonumber(ARGV[3] or 0) > tonumber(call('HGET', META, 'protocol') or 0) then
  call('HSET', META, 'protocol', ARGV[3])
  local newest = string.format('{%s:%s}:protocol', SPACE, SHARD)
  if tonumber(call('GET', newest) or 0) < tonumber(ARGV[3]) then call('SET', newest, ARGV[3]) end
end

if now - looked >= LOOK_EVERY or now < looked then
  call('HSET', META, 'looked', now)
  watch_memory(tonumber(ARGV[2]))
  upkeep.keep_waiting_listed()
end

local function note(sum, unfinished)
  if unfinished then more = 1 end
  return sum
end

local rescued = 0
if now >= grace then
  local session = call('ZRANGEBYSCORE', SESSIONS, '-inf', now, 'LIMIT', 0, 1)[1]
  if session then
    rescued = note(in_slices(96, function(n) return upkeep.rescue(session, n) end))
    if call('ZRANGEBYSCORE', SESSIONS, '-inf', now, 'LIMIT', 0, 1)[1] then more = 1 end
  end
end
do
  local lives = call('SRANDMEMBER', P .. 'pardoned')
  if lives then note(in_slices(96, function(n) return withdraw_charges(lives, n) end)) end
end
note(in_slices(160, open_bucket))
local promoted = note(in_slices(160, upkeep.promote_due))

local scopes_due = call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 64)
if #scopes_due == 64 then more = 1 end
for _, scope in ipairs(scopes_due) do freed[scope] = 1 end
if #scopes_due > 0 then call('ZREM', PARKED, unpack(scopes_due)) end
pass_on_wakes(16)

if recipients.look_at_due(64) == 64 then more = 1 end

local pruned = note(in_slices(96, upkeep.prune))
note(in_slices(96, cancel_doomed))
note(in_slices(96, upkeep.free_keys))
wake_waiters()
upkeep.rouse()
finish()

local wait = -1
for _, key in ipairs({ DUE, LATER, PARKED, recipients.TILL }) do
  local till = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if till then wait = math.min(wait < 0 and math.huge or wait, math.max(0, tonumber(till) - now)) end
end
return { promoted, rescued, #scopes_due, pruned, more, wait, call('EXISTS', SUSPECTED) }
