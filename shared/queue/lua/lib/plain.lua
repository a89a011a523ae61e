-- Creates plain jobs, many at a time. Those that share all seldom come here (alike.lua).
-- Adds ids to a list. The first ones are not copied, because most calls have nothing else.
local function add(list, ids)
  if not list.only then
    list.only = ids
    return
  end
  if not list.own then list.own = { unpack(list.only) } end
  local own, n = list.own, #list.own
  for i = 1, #ids do own[n + i] = ids[i] end
end

-- Creates plain jobs: without unique key, idempotency key or time. They come in groups that share everything but id and
-- payload, so that one head serves a whole group: ARGV from `at` on is, per group, keep class B, lane H, kind H, max attempts H
-- and number of jobs H, then the ids, then the payloads. No id comes twice in a call. Returns a letter per job, C or E,
-- or an error if the shard takes no new jobs.
local function create_plain(at, lane_names, kind_names)
  local groups, ids, letters = {}, {}, {}
  while at <= #ARGV do
    local keep, lane_at, kind_at, max, many = unpack_from('>BHHHH', ARGV[at])
    groups[#groups + 1] = { keep, lane_at + 1, kind_at + 1, max, many, at }
    for i = at + 1, at + many do ids[#ids + 1] = ARGV[i] end
    at = at + 1 + 2 * many
  end
  local existing = bases.get(ids)
  local new, place = {}, 0
  for _, group in ipairs(gate and groups or {}) do
    local queue = read_lane(lane_names[group[2]]).queue
    for i = place + 1, place + group[5] do
      if not existing[i] then new[queue] = (new[queue] or 0) + 1 end
    end
    place = place + group[5]
  end
  local refused = refusal(new)
  if refused then return refused end

  -- From here on only writes.
  local kind_numbers = numbers_of(kind_names, KIND_IDS, KINDS, 'kind')
  if kind_numbers.err then return kind_numbers end
  local lane_numbers, new_lanes = numbers_of(lane_names, LANE_IDS, LANES, 'lane')
  local records, indexes, refs, waiting, order, done = {}, {}, {}, {}, {}, 0
  for _, group in ipairs(groups) do
    local keep, lane_at, kind_at, max, many, from = unpack(group)
    local number, kind = lane_numbers[lane_at], kind_numbers[kind_at]
    local head = pack(HEAD, VERSION, AVAILABLE, 0, keep, kind, number, 0, max, 0, 0, 0, now, now, 0, 0)
    local fresh, n, written = {}, 0, #records
    for i = 1, many do
      local id = ARGV[from + i]
      local new = not existing[done + i]
      if new then
        records[written + 1], records[written + 2] = id, head .. ARGV[from + many + i]
        written, n = written + 2, n + 1
        fresh[n] = id
      end
      letters[done + i] = new and 'C' or 'E'
    end
    done = done + many
    if n > 0 then
      if not lanes[number] then lanes[number] = read_lane(lane_names[lane_at]) end
      local lane = lanes[number]
      local index = indexes[lane.tenant]
      if not index then index = { all = {}, till = 0, kinds = {} }; indexes[lane.tenant] = index end
      index.till = math.max(index.till, now + KEEP_SECONDS[keep] * 1000 + MONTH)
      index.kinds[kind] = index.kinds[kind] or {}
      add(index.all, fresh)
      add(index.kinds[kind], fresh)
      if not refs[number] then order[#order + 1], waiting[number] = number, {} end
      refs[number] = (refs[number] or 0) + n
      add(waiting[number], fresh)
      count(lane.queue, 'a', n)
    end
  end
  if #records > 0 then bases.create(records) end
  refer(refs, new_lanes)
  local lists = {}
  for i, number in ipairs(order) do lists[2 * i - 1], lists[2 * i] = number, waiting[number].own or waiting[number].only end
  push_all(lists)
  for tenant, index in pairs(indexes) do
    for kind, list in pairs(index.kinds) do extend_list(k_index(tenant, kind), list.own or list.only, 1000, index.till) end
    extend_list(k_index(tenant, '*'), index.all.own or index.all.only, 10000, index.till)
  end
  return concat(letters)
end
