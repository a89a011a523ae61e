-- One step of a walk over a shard that removes what a paused tenant has there. Jobs that run are asked to stop and stay; so whoever
-- wants all of it gone repeats the walk until it finds nothing.
-- KEYS  1 jobs
-- ARGV  1 tenant, 2 what is walked over: J jobs, U unique keys, R rules, K keys, B batches, 3 the place, 0 to begin
-- result  how many things were removed, how many jobs run, the next place, 0 at the end
-- bounds  one step of a scan of 100 records, or 1 MiB of them, or of 100 names; in a shard's rings, one entry each
local tenant, part, place = ARGV[1], ARGV[2], place_of_walk(ARGV[3])
local removed, running = 0, 0
local glob = string.gsub(tenant, '[%*%?%[%]\\]', '\\%0')

-- What else there is of a job that does not run.
local function leave(id, r, lane)
  if r.state == BURIED then
    -- One that was archived is counted no more.
    if call('ZREM', DEAD, id) == 1 then count(lane.queue, 'd', -1) end
  else
    count(lane.queue, string.char(r.state), -1)
  end
  call('ZREM', DUE, id)
  local kind = r.unique and call('HGET', KINDS, r.kind)
  local field = kind and lane.tenant .. '\0' .. kind .. '\0' .. r.unique
  if field and call('HGET', UNIQUE, field) == id then call('HDEL', UNIQUE, field) end
  if r.idem then call('UNLINK', k_idem(lane.tenant, r.idem)) end
  if r.cancel then call('SREM', CANCELLING, id) end
  call('UNLINK', k_log(id), k_children(id))
  local recipient = r.more and field_of(r.more, 'k')
  if recipient then
    local aside = P .. 'aside:' .. r.lane .. ':' .. recipient
    count(lane.queue, 'k', -call('LLEN', aside))
    call('UNLINK', aside)
    call('SREM', P .. 'asides:' .. r.lane, recipient)
  end
  changes(id)
end

local function jobs()
  local gone, refs, seen, found = {}, {}, {}, nil
  found, place = scan_jobs(place, 100)
  for i = 1, #found, 2 do
    local id = found[i]
    local lane = not seen[id] and lane_of(ended.remains_of(found[i + 1]).lane)
    seen[id] = true
    if lane and lane.tenant == tenant then
      local r = open_record(get_record(id))
      if not r and call('HEXISTS', RUNS, id) == 1 then
        running = running + 1 -- cut off: it is buried when it ends
      elseif r and r.state == RUNNING then
        running = running + 1
        r.cancel = true
        call('SADD', CANCELLING, id)
        put_record(id, r)
        call('PUBLISH', channel_cancel(), SHARD .. ' ' .. id)
      else
        r = r or ended.remains_of(found[i + 1])
        leave(id, r, lane)
        gone[#gone + 1] = id
        refs[r.lane] = (refs[r.lane] or 0) + 1
      end
    end
  end
  if #gone > 0 then bases.drop(gone) end
  recipients.are_gone(gone)
  drop_lane_refs(refs)
  removed = #gone
end

local function unique_keys()
  local found = call('HSCAN', UNIQUE, place, 'MATCH', glob .. '\0*', 'COUNT', 100)
  place = found[1]
  for i = 1, #found[2], 2 do
    removed = removed + call('HDEL', UNIQUE, found[2][i])
    call('ZREM', UNIQUE_TILL, found[2][i])
  end
end

local function rules()
  if place == '0' then
    removed = call('HDEL', RULES, 'T' .. tenant)
    local queues = {}
    for _, counter in ipairs(call('HKEYS', COUNTS)) do queues[string.match(counter, '^(.*):') or ''] = true end
    for queue in pairs(queues) do
      call('LREM', k_ring(queue), 0, tenant)
      call('HDEL', CREDITS, 'P' .. queue .. ':' .. tenant, 'T' .. queue .. ':' .. tenant)
    end
  end
  local found = call('HSCAN', RULES, place, 'COUNT', 100)
  place = found[1]
  for i = 1, #found[2], 2 do
    local field = found[2][i]
    if sub(field, 1, 1) == 'L' and read_lane(sub(field, 2)).tenant == tenant then
      removed = removed + call('HDEL', RULES, field)
    end
  end
end

local OF_TENANT = { idem = true, index = true, away = true, scope = true, sent = true, waiters = true, people = true,
  opens = true, pairs = true, newcomers = true, byname = true, replaced = true }
local BY_QUEUE = { tenant = true, high = true, low = true, first = true }
local function keys()
  local found = call('SCAN', place, 'MATCH', P .. '*' .. glob .. '*', 'COUNT', 100)
  place = found[1]
  for _, key in ipairs(found[2]) do
    local kind, rest = string.match(sub(key, #P + 1), '^(%l+):(.*)$')
    local its = OF_TENANT[kind] and (rest == tenant or sub(rest, 1, #tenant + 1) == tenant .. ':')
    if BY_QUEUE[kind] then its = sub(rest, -#tenant - 1) == ':' .. tenant end
    if its then
      if BY_QUEUE[kind] then call('HDEL', AHEAD, kind .. ':' .. rest) end
      if kind == 'scope' or kind == 'waiters' then call('ZREM', PARKED, rest) end
      if kind == 'scope' or kind == 'newcomers' then call('ZREM', P .. 'aside_till', 'S' .. rest) end
      removed = removed + call('UNLINK', key)
    end
  end
end

-- Known by their tenant from within only.
local function batches()
  local found = call('SCAN', place, 'MATCH', P .. 'batch:*', 'COUNT', 100)
  place = found[1]
  for _, key in ipairs(found[2]) do
    if call('HGET', key, 'tenant') == tenant then removed = removed + call('UNLINK', key) end
  end
end

local walks = { J = jobs, U = unique_keys, R = rules, K = keys, B = batches }
walks[part]()
finish()
return { removed, running, place_to_tell(place) }
