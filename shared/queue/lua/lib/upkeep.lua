-- The steps of maintenance. (In a table, because a script has room for 200 names.)
local upkeep = {}

-- Due jobs become available, fewer of them if they are large. Returns how many, and whether more are due.
function upkeep.promote_due(most)
  local MOST_BYTES, IN_A_READ = 524288, 8
  local due = call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, most)
  if #due == 0 then return 0, false end
  local ids, raws, records, jobs, numbers, bytes = {}, {}, {}, {}, {}, 0
  while #ids < #due and bytes < MOST_BYTES do
    local from = #ids
    for i, raw in ipairs(bases.get({ unpack(due, from + 1, math.min(from + IN_A_READ, #due)) })) do
      ids[from + i], raws[from + i] = due[from + i], raw
      if raw then bytes = bytes + #raw end
    end
  end
  for i, id in ipairs(ids) do
    local r = raws[i] and open_record(raws[i])
    if r and (r.state == SCHEDULED or r.state == RETRYABLE) then
      jobs[#jobs + 1] = { id, r }
      numbers[#numbers + 1] = r.lane
    elseif raws[i] and not r then
      ended.bury_torn(id)
    end
  end
  write_endings()
  load_lanes(numbers)
  for _, job in ipairs(jobs) do
    local id, r = job[1], job[2]
    local lane = lane_of(r.lane)
    if lane then count(lane.queue, string.char(r.state), -1) end
    r.state = AVAILABLE
    records[#records + 1] = id
    records[#records + 1] = seal_record(r)
    changes(id)
  end
  call_many('ZREM', DUE, ids, 256)
  if #records > 0 then bases.put(records) end
  make_available(jobs, false)
  return #ids, #ids == most or #ids < #due
end

-- Takes back what a dead session held, and charges the crash to its jobs. Whether a handler had begun is written down only
-- after a first crash (started.lua), which is therefore charged to whatever was held; the second needs that proof. A
-- session that said meanwhile that it lives did not crash. Nothing is buried here: a death that nobody saw from outside says
-- too little.
function upkeep.rescue(session, most)
  -- A suspect whose process died again waits longer each time, so that one that takes a whole machine down leaves it time.
  local function penance(crashes)
    if crashes <= SUSPECT_FROM then return 0 end
    return math.min(1000 * 2 ^ math.min(crashes - SUSPECT_FROM - 1, 20), 900000)
  end
  call('ZADD', SESSIONS, 0, session) -- from now on it cannot come back under this name
  local charged, started, lives = {}, k_started(session), call('SISMEMBER', P .. 'pardoned', session) == 1
  local taken, more = take_back(session, most, function(id, r)
    if lives or r.crashes == 1 and call('SISMEMBER', started, id) == 0 then return 0 end
    r.crashes = math.min(r.crashes + 1, 255)
    charged[#charged + 1] = id
    return penance(r.crashes)
  end)
  if #charged > 0 then
    call_many('RPUSH', k_charged(session), charged, 256)
    call('PEXPIRE', k_charged(session), 3600000)
  end
  if not more then forget_session(session) end
  return taken, more
end

-- Removes records whose time to be kept is over. Each keep class is a list in order of time.
function upkeep.prune(most)
  local MOST_BYTES, bytes = 524288, 0
  local pruned, refs, gone, unfinished = 0, {}, {}, false
  for class = 0, #KEEP_SECONDS do
    local key = k_finished(class)
    local head = call('LINDEX', key, 0)
    local till = now - KEEP_SECONDS[class] * 1000
    if head and unpack_from('>I6', head, 15) <= till then
      local entries, expired, ids = call('LRANGE', key, 0, most - pruned - 1), 0, {}
      for i, entry in ipairs(entries) do
        if unpack_from('>I6', entry, 15) > till or bytes >= MOST_BYTES then break end
        expired, ids[i] = i, sub(entry, 1, 14)
        bytes = bytes + bases.size(ids[i])
      end
      if expired > 0 then
        local raws = bases.get(ids)
        for i, id in ipairs(ids) do
          local r = raws[i] and open_record(raws[i])
          if r and r.finished == unpack_from('>I6', entries[i], 15) and r.finished > 0 then
            gone[#gone + 1] = id
            if r.more and field_of(r.more, 'l') then call('UNLINK', k_log(id)) end
            refs[r.lane] = (refs[r.lane] or 0) + 1
            local lane = lane_of(r.lane)
            if lane then
              if r.state ~= BURIED then count(lane.queue, string.char(r.state), -1) end
              if r.idem then
                -- The key outlives the record if 24 hours have not passed.
                call('PEXPIREAT', k_idem(lane.tenant, r.idem), math.max(r.enqueued + 86400000, now + 1))
              end
            end
          end
        end
        call('LTRIM', key, expired, -1)
        pruned = pruned + expired
      end
      if pruned >= most or bytes >= MOST_BYTES then
        unfinished = true
        break
      end
    end
  end
  if #gone > 0 then bases.drop(gone) end
  recipients.are_gone(gone)
  drop_lane_refs(refs)
  return pruned, unfinished
end

-- Jobs that wait for very long, such as in a lane that is paused, keep the lists that they stand in. At each look some lanes are
-- looked at, and one of the jobs in each: all in turn within days, where the lists have weeks left.
function upkeep.keep_waiting_listed()
  for _, number in ipairs(call('HRANDFIELD', LANES, 4)) do
    local length = call('LLEN', k_lane(number))
    local at = length > 0 and now % length
    local id = at and call('LRANGE', k_lane(number), at, at)[1]
    local raw = id and bases.get_one(id)
    local r = raw and open_record(raw)
    if r and r.state == AVAILABLE and now - r.run > MONTH / 2 then
      r.run = now
      keep_listed(r)
    end
  end
end

-- Frees unique keys whose period is over. Returns how many, and whether more are.
function upkeep.free_keys(most)
  local fields = call('ZRANGEBYSCORE', UNIQUE_TILL, '-inf', now, 'LIMIT', 0, most)
  if #fields == 0 then return 0, false end
  for i, value in ipairs(call('HMGET', UNIQUE, unpack(fields))) do
    if value and #value == 20 and unpack_from('>I6', value, 15) <= now then call('HDEL', UNIQUE, fields[i]) end
  end
  call('ZREM', UNIQUE_TILL, unpack(fields))
  return #fields, #fields == most
end

-- Work stands although somebody is idle: whoever was told of it does not react (it is stopped, or its connection is dead and
-- nobody has noticed yet). The next one is told.
function upkeep.rouse()
  local from = '-'
  for _ = 1, 64 do
    local entry = call('ZRANGEBYLEX', IDLE, from, '+', 'LIMIT', 0, 1)[1]
    if not entry then return end
    local queue = sub(entry, 1, -18)
    if call('EXISTS', k_ring(queue), k_suspects(queue)) > 0 and call('SISMEMBER', PAUSED, queue) == 0 then wake(queue) end
    from = '[' .. queue .. '\1'
  end
end
