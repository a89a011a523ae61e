-- Gives a session one suspect: a job that twice saw its process crash, to be run apart from all others.
-- KEYS  1 jobs
-- ARGV  1 session, 2 sequence number of its own, then the queues it serves
-- result  {0} if the session is unknown; else {1, claimed (as in turn.lua), lane numbers and lanes, kind numbers and kinds,
--       now}
-- bounds  one job; up to 32 are passed over: those that ended, those whose lane is paused or whose scopes have no room for
--         another run, and those of a cancelled lane, which end here. Repeated with the same number
--       it answers the same, as long as the session holds the job. One that comes late, after a higher number, is refused:
--       nobody would hear of what it gives out.
local session, sequence = ARGV[1], tonumber(ARGV[2])
local expiry = call('ZSCORE', SESSIONS, session)
if not expiry or tonumber(expiry) == 0 then return { 0 } end

local last = call('HGET', SUSPECT_OF, session)
local heard = last and unpack_from('>I6', last) or -1
if heard > sequence then return { 0 } end
if heard == sequence then
  local id = sub(last, 7)
  if id ~= '' then take_again({ id }, session .. claim_of('s', sequence)) end
else
  claim_for(session, 's', sequence)
  local left = leaving and 0 or 32
  for i = 3, #ARGV do
    local queue = ARGV[i]
    local key, back = k_suspects(queue), {}
    while left > 0 and #taken.ids == 0 and call('SISMEMBER', PAUSED, queue) == 0 do
      local id = call('LPOP', key)
      if not id then
        call('SREM', SUSPECTED, queue)
        break
      end
      left = left - 1
      local raw, run = bases.get_one(id), call('HGET', RUNS, id)
      local r = raw and not run and open_record(raw)
      if raw and not r then
        ended.bury_torn(id)
      elseif r and r.state == AVAILABLE then
        local lane = lane_of(r.lane)
        local rule = lane and rule_of(lane.base) or { cancelled = 0 }
        -- It kept the reservation of the run that crashed, so no cap is asked, but others may run in its place meanwhile.
        local paused = rule.paused or (lane and call('SISMEMBER', P .. 'stopped', lane.tenant) == 1)
        local room = r.enqueued <= rule.cancelled or not paused and (not lane or select(4, lane_room(lane)) > 0)
        if not room then
          back[#back + 1] = id
        elseif take_record(id, raw, run, nil, false, rule.cancelled) then
          if lane and r.reserved then
            local recipient = recipients.of(raw)
            reserve(lane, 0, 1)
            if recipient then recipients.reserve(lane, recipient, true) end
          end
          count(queue, 'a', -1)
          count(queue, 'r', 1)
        end
      end
    end
    -- They are asked for again and again, so nobody wakes them; the next ones have their turn first.
    if #back > 0 then
      call('RPUSH', key, unpack(back))
      call('SADD', SUSPECTED, queue)
    end
  end
  if #taken.ids > 0 then write_claim() end
  write_endings()
  wake_waiters()
  -- A call in vain is remembered, too: it may come once more when there is one.
  call('HSET', SUSPECT_OF, session, pack('>I6', sequence) .. (taken.ids[1] or ''))
end

local lane_table, kind_table = resolve(taken.lanes, LANES), resolve(taken.kinds, KINDS)
finish()
return { 1, taken.reply, lane_table, kind_table, now }
