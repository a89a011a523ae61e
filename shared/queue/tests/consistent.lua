-- What is wrong in a shard, as lines of text: everything that is written down twice must agree.
-- KEYS  1 jobs, 2 set in which it notes ids of jobs that have ended
local P = string.sub(KEYS[1], 1, -5)
local call, wrong = redis.call, {}
local function note(...) wrong[#wrong + 1] = string.format(...) end
local function pairs_of(key)
  local flat, map = call('HGETALL', P .. key), {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end
local function hex(text) return (string.gsub(text, '.', function(c) return string.format('%02x', string.byte(c)) end)) end
local function set(list)
  local map = {}
  for _, entry in ipairs(list) do map[entry] = (map[entry] or 0) + 1 end
  return map
end
local function names(glob)
  local found = {}
  for _, key in ipairs(call('KEYS', P .. glob)) do found[#found + 1] = string.sub(key, #P + 1) end
  table.sort(found)
  return found
end

-- Records.
local jobs, runs, lanes, records = pairs_of('jobs'), pairs_of('runs'), {}, {}
local blocks = set(call('ZRANGE', P .. 'blocks', 0, -1))
for _, name in ipairs(names('jobs:*')) do
  local block = string.sub(name, 6)
  if not blocks[block] then note('block %s is not noted', block) end
  blocks[block] = nil
  for id, raw in pairs(pairs_of(name)) do
    if jobs[id] then note('%s has two records', hex(id)) end
    if hex(string.sub(id, 1, 8)) ~= '9e3779b1' .. block then note('%s stands in block %s', hex(id), block) end
    jobs[id] = raw
  end
end
for block in pairs(blocks) do note('block %s is noted and not there', block) end
for number, raw in pairs(pairs_of('lanes')) do
  local queue, tenant, name, total, pos = struct.unpack('>Hc0Hc0Hc0B', raw)
  local scopes = {}
  for i = 1, total do scopes[i], pos = struct.unpack('>Hc0', raw, pos) end
  for i = 1, total do scopes[i] = tenant .. ':' .. scopes[i] end
  lanes[number] = { queue = queue, tenant = tenant, name = name, scopes = scopes, class = string.byte(raw, pos) or 0 }
  if call('HGET', P .. 'lane_ids', raw) ~= number then note('lane %s has another number', number) end
end
if call('HLEN', P .. 'lanes') ~= call('HLEN', P .. 'lane_ids') then note('lanes and lane_ids differ in length') end
for id, run in pairs(runs) do
  if not jobs[id] then note('%s runs and has no record', hex(id)) end
end
local refs, counts, open, idle, opens, members = {}, {}, {}, {}, {}, {}
local function add(map, key, by) map[key] = (map[key] or 0) + by end
for id, raw in pairs(jobs) do
  local r, pos = {}, nil
  if runs[id] then raw = string.sub(runs[id], 1, -22) end
  local _
  _, r.state, r.flags, r.keep, r.kind, r.lane, r.attempt, r.max, r.snoozes, r.crashes, r.epoch, r.enqueued, r.run, r.started,
    r.finished, pos = struct.unpack('>BBBBHI4HHHBI4I6I6I6I6', raw)
  local function section(bit_of, format)
    if bit.band(r.flags, bit_of) == 0 then return end
    local value
    value, pos = struct.unpack(format, raw, pos)
    return value
  end
  r.reserved, r.cancel = section(1, '>I6'), bit.band(r.flags, 2) ~= 0
  r.unique, r.idem = section(4, '>Hc0'), section(8, '>Hc0')
  section(16, '>Hc0') section(32, '>I4c0') section(64, '>I4c0')
  local more, at = section(128, '>I4c0'), 1
  while more and at <= #more do
    local letter, value
    letter, value, at = struct.unpack('>c1Hc0', more, at)
    r[letter] = value
  end
  if r.state == 99 or r.state == 100 or r.state == 120 then call('SADD', KEYS[2], id) end
  r.letter, r.id, r.lane = string.char(r.state), id, string.format('%d', r.lane)
  records[id] = r
  add(refs, r.lane, 1)
  local lane = lanes[r.lane]
  if not lane then note('%s has no lane', hex(id)) else
    if r.letter ~= 'd' then add(counts, lane.queue .. ':' .. r.letter, 1) end
    if r.reserved then
      for _, scope in ipairs(lane.scopes) do
        add(open, scope, 1)
        if r.letter ~= 'r' then add(idle, scope, 1) end
        if r.k then opens[scope] = opens[scope] or {} add(opens[scope], r.k, 1) end
      end
    end
  end
  if (r.letter == 'r') ~= (runs[id] ~= nil) then note('%s: state %s, run %s', hex(id), r.letter, tostring(runs[id] ~= nil)) end
  if r.reserved and (r.letter == 'c' or r.letter == 'x' or r.letter == 'd') then note('%s ended with a unit', hex(id)) end
  if (call('EXISTS', P .. 'log:' .. id) == 1) ~= (r.l ~= nil) then note('%s: its log', hex(id)) end
  if r.b and r.letter ~= 'c' and r.letter ~= 'x' and r.letter ~= 'd' then add(members, r.b, 1) end
end
for number, by in pairs(pairs_of('lane_refs')) do
  if tonumber(by) ~= (refs[number] or 0) then note('lane %s: %s refs, but %d records', number, by, refs[number] or 0) end
end
for number in pairs(refs) do
  if call('HEXISTS', P .. 'lane_refs', number) == 0 then note('lane %s without refs', number) end
end

-- Where those that wait are.
local places, lists = {}, {}
for _, key in ipairs(names('lane:*')) do
  local number = string.sub(key, 6)
  lists[number] = true
  if not lanes[number] then note('%s of no lane', key) else add(counts, lanes[number].queue .. ':l', 1) end
  for _, id in ipairs(call('LRANGE', P .. key, 0, -1)) do places[id .. number] = key end
end
local doomed = set(call('LRANGE', P .. 'doomed', 0, -1))
for _, key in ipairs(names('doomed:*')) do
  local entry = string.sub(key, 8)
  if not doomed[entry] then note('%s is not listed', key) end
  for _, id in ipairs(call('LRANGE', P .. key, 0, -1)) do places[id .. string.match(entry, '^%d+')] = key end
end
for entry in pairs(doomed) do
  if call('EXISTS', P .. 'doomed:' .. entry) == 0 then note('doomed:%s is listed and not there', entry) end
end
for _, key in ipairs(names('suspects:*')) do
  if call('SISMEMBER', P .. 'suspected', string.sub(key, 10)) == 0 then note('%s is not listed', key) end
  for _, id in ipairs(call('LRANGE', P .. key, 0, -1)) do
    if records[id] then places[id .. records[id].lane] = key end
  end
end
local back = pairs_of('aside_back')
local newcomers, backs = {}, {}
for _, key in ipairs(names('newcomers:*')) do
  for _, entry in ipairs(call('ZRANGE', P .. key, 0, -1)) do newcomers[entry] = true end
  if not call('ZSCORE', P .. 'aside_till', 'S' .. string.sub(key, 11)) then note('%s has no timer', key) end
end
for id, entry in pairs(back) do
  backs[entry] = true
  if not records[id] then note('aside_back has %s, which is gone', hex(id)) end
end
for _, key in ipairs(names('aside:*')) do
  local entry = string.sub(key, 7)
  local number, recipient = string.match(entry, '^(%d+):(.*)$')
  if not lanes[number] then note('aside:%s of no lane', number) else
    add(counts, lanes[number].queue .. ':k', call('LLEN', P .. key))
    for _, id in ipairs(call('LRANGE', P .. key, 0, -1)) do places[id .. number] = key end
  end
  if call('SISMEMBER', P .. 'asides:' .. number, recipient) == 0 then
    note('aside:%s:%s is not listed', number, hex(recipient))
  end
  if not (newcomers[entry] or backs[entry] or call('ZSCORE', P .. 'aside_till', 'K' .. entry)
    or call('ZSCORE', P .. 'aside_till', 'C' .. number)) then
    note('nobody looks at aside:%s:%s', number, hex(recipient))
  end
end
for _, key in ipairs(names('asides:*')) do
  local number = string.sub(key, 8)
  for _, recipient in ipairs(call('SMEMBERS', P .. key)) do
    local entry = number .. ':' .. recipient
    if call('EXISTS', P .. 'aside:' .. entry) == 0 and not backs[entry] and not newcomers[entry]
      and not call('ZSCORE', P .. 'aside_till', 'K' .. entry) then
      note('%s lists %s, which is not there', key, hex(recipient))
    end
  end
end
local later = {}
for _, key in ipairs(names('later:*')) do
  if not call('ZSCORE', P .. 'later', string.sub(key, 7)) then note('%s is not listed', key) end
  for _, id in ipairs(call('LRANGE', P .. key, 0, -1)) do later[id] = key end
end
local cancelling = set(call('SMEMBERS', P .. 'cancelling'))
local finished = {}
for _, key in ipairs(names('finished:*')) do
  for _, entry in ipairs(call('LRANGE', P .. key, 0, -1)) do finished[entry .. string.sub(key, 10)] = true end
end
for id, r in pairs(records) do
  if r.letter == 'a' and not places[id .. r.lane] then note('%s is available and stands nowhere, lane %s', hex(id), r.lane) end
  if r.letter == 's' or r.letter == 't' then
    local due = call('ZSCORE', P .. 'due', id)
    if not later[id] and not due then note('%s waits for a time and stands nowhere', hex(id)) end
    if due and tonumber(due) ~= r.run then note('%s is due at another time', hex(id)) end
  end
  local ended = r.letter == 'c' or r.letter == 'x' or (r.letter == 'd' and not call('ZSCORE', P .. 'dead', id))
  if ended and not finished[id .. struct.pack('>I6', r.finished) .. r.keep] then note('%s is kept for ever', hex(id)) end
  if (cancelling[id] ~= nil) ~= r.cancel then
    note('%s: cancelling %s, flag %s', hex(id), tostring(cancelling[id]), tostring(r.cancel))
  end
  if r.cancel and r.letter ~= 'r' and r.letter ~= 'a' and r.letter ~= 's' then note('%s: asked to stop in state %s', hex(id), r.letter) end
end
for id in pairs(cancelling) do
  if not records[id] then note('cancelling has %s, which is gone', hex(id)) end
end
for _, id in ipairs(call('ZRANGE', P .. 'dead', 0, -1)) do
  local r = records[id]
  if not r or r.letter ~= 'd' then note('a dead letter %s without its record', hex(id)) else
    add(counts, lanes[r.lane].queue .. ':d', 1)
  end
end

-- Rings.
local parked = pairs_of('parked_on')
for number, scope in pairs(parked) do
  if not lanes[number] then note('lane %s is parked and gone', number) else
    add(counts, lanes[number].queue .. ':p', 1)
    if not call('ZSCORE', P .. 'waiters:' .. scope, number) then note('lane %s is parked and in no line of %s', number, scope) end
    if not lists[number] then note('lane %s is parked and empty', number) end
  end
end
for _, key in ipairs(names('waiters:*')) do
  for _, number in ipairs(call('ZRANGE', P .. key, 0, -1)) do
    if parked[number] ~= string.sub(key, 9) then
      note('lane %s stands in %s and is parked on %s', number, key, tostring(parked[number]))
    end
  end
end
local standing, tenants = {}, {}
for class, kind in pairs({ [0] = 'tenant:', 'high:', 'low:' }) do
  for _, key in ipairs(names(kind .. '*')) do
    tenants[string.sub(key, #kind + 1)] = true
    for _, number in ipairs(call('LRANGE', P .. key, 0, -1)) do
      if standing[number] then note('lane %s stands in rings twice', number) end
      standing[number] = true
      local lane = lanes[number]
      -- One that is gone leaves with the next visit.
      if lane and (kind .. lane.queue .. ':' .. lane.tenant ~= key or lane.class ~= class) then
        note('lane %s stands in %s', number, key)
      end
      if lane and not lists[number] then note('lane %s is in its ring and empty', number) end
      if parked[number] then note('lane %s is in its ring and parked', number) end
    end
  end
end
for number in pairs(lists) do
  if not standing[number] and not parked[number] then note('lane %s has jobs and stands nowhere', number) end
end
local in_ring = {}
for _, key in ipairs(names('ring:*')) do
  for _, tenant in ipairs(call('LRANGE', P .. key, 0, -1)) do
    local entry = string.sub(key, 6) .. ':' .. tenant
    if in_ring[entry] then note('%s has %s twice', key, tenant) end
    in_ring[entry] = true
    if not tenants[entry] then note('%s has %s without lanes', key, tenant) end
  end
end
for entry in pairs(tenants) do
  local queue, tenant = string.match(entry, '^([^:]*):(.*)$')
  if not in_ring[entry] and call('SISMEMBER', P .. 'away:' .. tenant, queue) == 0 then note('%s has lanes and is in no ring', entry) end
end
for _, key in ipairs(names('away:*')) do
  if call('SISMEMBER', P .. 'stopped', string.sub(key, 6)) == 0 then note('%s of a tenant that is not paused', key) end
end
for number in pairs(pairs_of('woken')) do
  if not standing[number] then note('lane %s is woken and in no ring', number) end
end
for field in pairs(pairs_of('ahead')) do
  if string.match(field, '^%d+$') and not standing[field] then note('lane %s is ahead and in no ring', field) end
end

-- Figures.
for field, by in pairs(pairs_of('counts')) do
  if tonumber(by) ~= (counts[field] or 0) then note('counts %s: %s, but there are %d', field, by, counts[field] or 0) end
  counts[field] = nil
end
for field, by in pairs(counts) do
  if by ~= 0 then note('counts %s: nothing, but there are %d', field, by) end
end
for _, key in ipairs(names('scope:*')) do
  local id, fields = string.sub(key, 7), pairs_of(key)
  if fields.limits then
    if tonumber(fields.open or 0) ~= (open[id] or 0) then
      note('%s: open %s, but %d', key, fields.open or '-', open[id] or 0)
    end
    if tonumber(fields.idle or 0) ~= (idle[id] or 0) then
      note('%s: idle %s, but %d', key, fields.idle or '-', idle[id] or 0)
    end
  end
  local by_recipient = opens[id] or {}
  for recipient, raw in pairs(pairs_of('opens:' .. id)) do
    local units = struct.unpack('>I4I6', raw)
    if units ~= (by_recipient[recipient] or 0) then
      note('%s: %d opens of a recipient, but %d', key, units, by_recipient[recipient] or 0)
    end
    if tonumber(call('ZSCORE', P .. 'people:' .. id, recipient) or 0) ~= 281474976710655 then
      note('%s: open and not among people', key)
    end
    by_recipient[recipient] = nil
  end
  for _, units in pairs(by_recipient) do note('%s: no opens of a recipient, but %d', key, units) end
  if #call('ZRANGEBYSCORE', P .. 'people:' .. id, '281474976710655', '+inf') ~= call('HLEN', P .. 'opens:' .. id) then
    note('%s: recipients that are open for ever', key)
  end
  local ends = call('PTTL', P .. 'people:' .. id)
  if ends ~= -2 and (ends < 0) ~= (call('EXISTS', P .. 'opens:' .. id) == 1) then note('%s: its recipients are kept for %d ms', key, ends) end
end

-- Sessions.
local by_claim = {}
for id, run in pairs(runs) do add(by_claim, string.sub(run, -21), 1) end
local known = set(call('ZRANGE', P .. 'sessions', 0, -1))
for _, key in ipairs(names('claims:*')) do
  local session = string.sub(key, 8)
  if not known[session] then note('claims of session %s, which is gone', hex(session)) end
  local ended = pairs_of('ended:' .. session)
  for claim, ids in pairs(pairs_of(key)) do
    local left, held = #ids / 14 - tonumber(ended[claim] or 0), by_claim[session .. claim] or 0
    if left < held or held == 0 then note('session %s, claim %s: %d left, %d run', hex(session), hex(claim), left, held) end
    by_claim[session .. claim] = nil
  end
end
for whose, many in pairs(by_claim) do note('%d runs of claim %s, which is gone', many, hex(whose)) end

-- Keys.
for field, value in pairs(pairs_of('unique')) do
  local r = records[string.sub(value, 1, 14)]
  local ended = not r or r.letter == 'c' or r.letter == 'x' or r.letter == 'd'
  if #value == 20 then
    if not call('ZSCORE', P .. 'unique_till', field) then note('a unique key is held for ever') end
  elseif ended then
    note('a unique key is held by a job that ended (%s)', r and r.letter or 'gone')
  end
end
for _, key in ipairs(names('idem:*')) do
  local value = call('GET', P .. key)
  if call('PTTL', P .. key) < 0 and not jobs[string.sub(value, 1, 14)] then note('%s is held for ever', key) end
end
for _, key in ipairs(names('batch:*')) do
  local batch, ended = pairs_of(key), 0
  for _, letter in ipairs({ 'c', 'x', 'd' }) do ended = ended + tonumber(batch[letter] or 0) end
  local left = members[string.sub(key, 7)] or 0
  if tonumber(batch.total or 0) ~= ended + left then note('a batch of %s: %d ended, %d left', batch.total or '0', ended, left) end
  if (batch.ended ~= nil) ~= (batch.sealed ~= nil and left == 0) then
    note('a batch: ended %s, sealed %s, %d left', tostring(batch.ended), tostring(batch.sealed), left)
  end
end
table.sort(wrong)
return wrong
