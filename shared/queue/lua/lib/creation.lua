-- Creates jobs, in an enqueue or as follow-ups of a completion.
-- A table of lanes and one of kinds travel with the batch, so that each name is resolved once.
local function numbers_of(names, by_name, by_number, counter)
  local numbers = {}
  for from = 1, #names, 256 do
    local part = call('HMGET', by_name, unpack(names, from, math.min(from + 255, #names)))
    for i = 1, #part do numbers[from + i - 1] = part[i] and tonumber(part[i]) end
  end
  for i = 1, #names do
    if not numbers[i] then
      local number = call('HINCRBY', META, counter, 1)
      call('HSET', by_name, names[i], number)
      call('HSET', by_number, number, names[i])
      numbers[i] = number
    end
  end
  return numbers
end

-- An index lives a month longer than the records that its newest entries name can.
local function extend_index(tenant, kind, ids, most, till)
  local key = k_index(tenant, kind)
  local length = call_many('LPUSH', key, ids, 256)
  if length > most then call('LTRIM', key, 0, most - 1) end
  if length == #ids then call('PEXPIREAT', key, till) else call('PEXPIREAT', key, till, 'GT') end
end

local KEEP_SECONDS = { [0] = 1, 10, 60, 300, 900, 3600, 21600, 86400, 259200, 604800, 2592000, 7776000, 31536000 }
local MONTH = 30 * 86400000

-- items: see wire.rs. Returns for each item a letter and an id: C created, E exists, U unique key taken, I idempotency conflict.
local function create(items, lane_names, kind_names)
  local parsed, ids = {}, {}
  for i = 1, #items do
    local item = { unpack_from('>c14BBHHHI6Hc0Hc0Hc0', items[i]) }
    parsed[i], ids[i] = item, item[1]
  end
  local existing, answers, fresh = get_records(ids), {}, {}
  local seen, taken, marked = {}, {}, {}
  for i, item in ipairs(parsed) do
    local id, unique, mark, fingerprint = item[1], item[8], item[9], item[10]
    local lane = read_lane(lane_names[item[4] + 1])
    local holder, unique_field, mark_key
    if existing[i] or seen[id] then
      answers[i] = 'E' .. id
    else
      if mark ~= '' then
        mark_key = k_idem(lane.tenant, mark)
        holder = marked[mark_key] or call('GET', mark_key)
        if holder then
          answers[i] = (sub(holder, 15) == fingerprint and 'E' or 'I') .. sub(holder, 1, 14)
        end
      end
      if not holder and unique ~= '' then
        unique_field = lane.tenant .. '\0' .. kind_names[item[5] + 1] .. '\0' .. unique
        holder = taken[unique_field] or call('HGET', UNIQUE, unique_field)
        if holder then answers[i] = 'U' .. holder end
      end
      if not holder then
        seen[id] = true
        if mark_key then marked[mark_key] = id .. fingerprint end
        if unique_field then taken[unique_field] = id end
        answers[i] = 'C' .. id
        fresh[#fresh + 1] = i
      end
    end
  end
  if #fresh == 0 then return answers end

  -- From here on only writes.
  local lane_numbers = numbers_of(lane_names, LANE_IDS, LANES, 'lane')
  local kind_numbers = numbers_of(kind_names, KIND_IDS, KINDS, 'kind')
  local records, due, by_lane, refs, by_kind = {}, {}, {}, {}, {}
  for _, i in ipairs(fresh) do
    local id, flags, keep, lane_at, kind_at, max, run, unique, mark, _, pos = unpack(parsed[i])
    local number, kind = lane_numbers[lane_at + 1], kind_numbers[kind_at + 1]
    local lane = lane_of(number)
    local sections = ''
    if unique ~= '' then sections = pack('>Hc0', #unique, unique) end
    if mark ~= '' then sections = sections .. pack('>Hc0', #mark, mark) end
    local state = AVAILABLE
    if run > now then
      state = SCHEDULED
      due[#due + 1] = run
      due[#due + 1] = id
      count(lane.queue, 's', 1)
    else
      run = now
      local waiting = by_lane[number]
      if not waiting then waiting = {}; by_lane[number] = waiting end
      waiting[#waiting + 1] = id
    end
    records[#records + 1] = id
    records[#records + 1] = pack(HEAD, VERSION, state, flags, keep, kind, number, 0, max, 0, 0, 0, now, run, 0, 0)
      .. sections .. sub(items[i], pos)
    refs[number] = (refs[number] or 0) + 1
    local index = by_kind[lane.tenant]
    if not index then index = { all = {}, till = 0, kinds = {} }; by_kind[lane.tenant] = index end
    local of_kind = index.kinds[kind]
    if not of_kind then of_kind = {}; index.kinds[kind] = of_kind end
    of_kind[#of_kind + 1] = id
    index.all[#index.all + 1] = id
    index.till = math.max(index.till, run + KEEP_SECONDS[keep] * 1000 + MONTH)
    changes(id)
  end
  call_many('HSET', JOBS, records, 400)
  if #due > 0 then call_many('ZADD', DUE, due, 400) end
  for number, by in pairs(refs) do call('HINCRBY', LANE_REFS, number, by) end
  for field, id in pairs(taken) do call('HSET', UNIQUE, field, id) end
  for key, value in pairs(marked) do call('SET', key, value) end
  for tenant, index in pairs(by_kind) do
    for kind, list in pairs(index.kinds) do extend_index(tenant, kind, list, 1000, index.till) end
    extend_index(tenant, '*', index.all, 10000, index.till)
  end
  for number, waiting in pairs(by_lane) do
    count(lane_of(number).queue, 'a', #waiting)
    push(number, waiting, false)
  end
  return answers
end

-- Creates plain jobs: without unique key, idempotency key or time. They come in groups that share everything but id and
-- payload, so that one head serves a whole group: ARGV from `at` on is, per group, keep class B, lane H, kind H, max attempts H
-- and number of jobs H, then the ids, then the payloads. No id comes twice in a call. Returns a letter per job: C or E.
local function create_plain(at, lane_names, kind_names)
  local groups, ids, letters = {}, {}, {}
  while at <= #ARGV do
    local keep, lane_at, kind_at, max, many = unpack_from('>BHHHH', ARGV[at])
    groups[#groups + 1] = { keep, lane_at + 1, kind_at + 1, max, many, at }
    for i = at + 1, at + many do ids[#ids + 1] = ARGV[i] end
    at = at + 1 + 2 * many
  end
  local alone = #ids == 1
  local existing = alone and {} or get_records(ids)

  -- From here on only writes.
  local lane_numbers = numbers_of(lane_names, LANE_IDS, LANES, 'lane')
  local kind_numbers = numbers_of(kind_names, KIND_IDS, KINDS, 'kind')
  local records, indexes, done = {}, {}, 0
  for _, group in ipairs(groups) do
    local keep, lane_at, kind_at, max, many, from = unpack(group)
    local number, kind = lane_numbers[lane_at], kind_numbers[kind_at]
    local head = pack(HEAD, VERSION, AVAILABLE, 0, keep, kind, number, 0, max, 0, 0, 0, now, now, 0, 0)
    local fresh, n = {}, 0
    for i = 1, many do
      local id, record = ARGV[from + i], nil
      if not existing[done + i] then
        record = head .. ARGV[from + many + i]
        if alone and call('HSETNX', JOBS, id, record) == 0 then record = nil end
      end
      if record then
        n = n + 1
        fresh[n] = id
        if not alone then records[#records + 1], records[#records + 2] = id, record end
      end
      letters[done + i] = record and 'C' or 'E'
    end
    done = done + many
    if n > 0 then
      if not lanes[number] then lanes[number] = read_lane(lane_names[lane_at]) end
      local lane = lanes[number]
      local index = indexes[lane.tenant]
      if not index then index = { all = {}, till = 0, kinds = {} }; indexes[lane.tenant] = index end
      index.kinds[kind] = index.kinds[kind] or {}
      index.till = math.max(index.till, now + KEEP_SECONDS[keep] * 1000 + MONTH)
      local all, of_kind = index.all, index.kinds[kind]
      for i = 1, n do all[#all + 1], of_kind[#of_kind + 1] = fresh[i], fresh[i] end
      call('HINCRBY', LANE_REFS, number, n)
      count(lane.queue, 'a', n)
      push(number, fresh, false)
    end
  end
  if #records > 0 then call_many('HSET', JOBS, records, 400) end
  for tenant, index in pairs(indexes) do
    for kind, list in pairs(index.kinds) do extend_index(tenant, kind, list, 1000, index.till) end
    extend_index(tenant, '*', index.all, 10000, index.till)
  end
  return concat(letters)
end
