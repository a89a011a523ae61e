-- A session's turn: applies the outcomes of runs that ended, with their follow-up jobs, then claims new ones.
-- KEYS  1 jobs
-- ARGV  1 session, 2 sequence number, 3 jobs wanted, 4 worker to be told of work if a queue has none now, or empty; number
--       of queues, then the queues; number of lanes, the lanes; number of kinds, the kinds (both for follow-ups); the
--       plain outcomes, in one (settling.rs); then the other ones, each followed by its follow-ups (wire.rs)
-- result  {0} if the session is unknown, or was heard with a higher number; else {1, letters per outcome (D applied, S stale,
--       N no time: to be sent again), claimed (ids and records in turn, as they were before or are now, see claims.lua), lane
--       numbers and lanes, kind numbers and kinds, 1 if it should ask again, now}
-- bounds  n <= 256 outcomes, of those that are applied one by one (singly.lua) the first 16 once 2 ms are used, or fewer if their
--         jobs are large; n <= 256 claims, or 64 once the outcomes used 2 ms, or 512 KiB of them if jobs were large in the last hour
--         (sizes.lua; the first time, up to 16 more); 256 visits of lanes and ids of jobs that ended there. Repeated with the same
--         number it answers the same. One that comes late, after a higher number, changes nothing: nobody would hear of what it claims.
local session, sequence, want = ARGV[1], tonumber(ARGV[2]), math.min(tonumber(ARGV[3]), 256)
local worker, at = ARGV[4], 5
local function names()
  local list = {}
  for i = 1, tonumber(ARGV[at]) do list[i] = ARGV[at + i] end
  at = at + #list + 1
  return list
end
local queues, lane_names, kind_names = names(), names(), names()
-- Before anything else is written. Jobs that bring along one of a kind for which no number is left die instead (singly.lua); in the
-- table, another name stands in for that of the kind, and nobody uses it.
if kind_names[1] and numbers_of(kind_names, KIND_IDS, KINDS, 'kind').err then
  local known = get_many(KIND_IDS, kind_names)
  for i = 1, #kind_names do
    if not known[i] and numbers_of({ kind_names[i] }, KIND_IDS, KINDS, 'kind').err then
      numberless[i - 1], kind_names[i] = kind_names[i], call('HRANDFIELD', KIND_IDS)
    end
  end
end

if leaving then want = 0 end

local expiry = call('ZSCORE', SESSIONS, session)
if not expiry or tonumber(expiry) == 0 then
  withdraw_charges(session, 256) -- its next heartbeat comes under another name
  return { 0 }
end

local letters
local last = call('HGET', ANSWERS, session)
local heard = last and unpack_from('>I6', last) or -1
if heard > sequence then return { 0 } end
if heard == sequence then
  -- A repeat after a lost answer: the same letters, and the records that were claimed then, as long as they are held.
  letters = select(2, unpack_from('>I6Hc0', last))
  local claimed, ids = call('HGET', k_claims(session), claim_of('t', sequence)) or '', {}
  for from = 1, #claimed, 14 do ids[#ids + 1] = sub(claimed, from, from + 13) end
  take_again(ids, session .. claim_of('t', sequence))
  want = 0
else
  local items = {}
  for i = at + 1, #ARGV do items[#items + 1] = ARGV[i] end
  letters = apply_outcomes(session, ARGV[at], items, lane_names, kind_names)
  wake_waiters() -- those in line for what is free now come before the claim
  if want > 0 then claim(session, sequence, queues, has_time() and want or math.min(want, 64)) end
  wake_waiters()
  -- A turn in vain is remembered, too: the same turn may still come, late and with a wish to claim.
  call('HSET', ANSWERS, session, pack('>I6Hc0', sequence, #letters, letters))
end

local more = 0
for _, queue in ipairs(queues) do
  if leaving then
    break -- whoever asked is told by the server that the shard comes to
  elseif call('EXISTS', k_ring(queue)) == 0 then
    if worker ~= '' and #taken.reply / 2 < tonumber(ARGV[3]) then
      call('ZADD', IDLE, 0, queue .. '\0' .. worker)
      call('PEXPIRE', IDLE, 60000)
    elseif worker ~= '' then
      more = 1 -- it has no room to be told of more: it asks again when it has
    end
  elseif call('SISMEMBER', PAUSED, queue) == 0 then
    more = 1
    woken[queue] = true -- enough for two
  end
end

local lane_table, kind_table = names_of_lanes(taken.lanes), resolve(taken.kinds, KINDS)
finish()
return { 1, letters, taken.reply, lane_table, kind_table, more, now }
