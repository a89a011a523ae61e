-- Creates jobs, in an enqueue or as follow-ups of a completion.
-- How a unique key is held: `u` in the section `more` of a job. The field of `unique` holds an id, and I6 the end of a period.
--   absent  while the job waits or runs
--   w       while it waits: whoever starts lets it go
--   r       while it waits; a job like it takes its place there: payload, time and attempts become those of the newer one.
--           If that put it off, the bucket follows in which it stands, at least until this is opened (later.lua)
--   p I6    for so many ms from now on, whatever becomes of the job
local create
-- Defines itself when it is called first: most turns create nothing.
function create(...)
  local function waits(raw)
    local state = raw and string.byte(raw, 2)
    return state == AVAILABLE or state == SCHEDULED or state == RETRYABLE
  end

  -- A run that was cut off may have done its work: the job counts as one that runs, and no newer one takes its place, or its unit.
  local FLAGS_AT, CRASHES_AT = 3, 17 -- in the head (record.lua)
  local function was_cut_off(raw)
    return bit.band(string.byte(raw, FLAGS_AT), RESERVED) ~= 0 or string.byte(raw, CRASHES_AT) > 0
  end

  -- Whether it waits in a lane that was cancelled since.
  local ruled
  local function is_doomed(raw)
    if not waits(raw) then return false end
    local lane = lane_of((unpack_from('>I4', raw, BEFORE_LANE + 1)))
    return lane and rule_of(lane.base).cancelled >= unpack_from('>I6', raw, FIRST_LEN + 1)
  end

  -- Who keeps this job from its unique key: nothing, or an id and U (taken) or R (it waits and is to be replaced: its record).
  -- The third result without an id is the end of a period that this job inherits from the dead one it was redriven from.
  local function holder_of(field, policy, origin)
    local value = call('HGET', UNIQUE, field)
    if not value then return end
    local holder, till = sub(value, 1, 14), #value == 20 and unpack_from('>I6', value, 15)
    if till and till <= now then return end
    if holder == origin then return nil, nil, till end
    if till then return holder, 'U' end
    if ruled == nil then ruled = call('EXISTS', RULES) == 1 end
    local raw = (ruled or policy == 'w' or policy == 'r') and get_record(holder)
    if raw and not open_record(raw) then
      -- It is cut off, and buried when it is met. If it runs, it runs as any other.
      if policy == 'w' or policy == 'r' or call('HEXISTS', RUNS, holder) == 0 then return end
      return holder, 'U'
    end
    if ruled and is_doomed(raw) then return end
    if policy == 'w' or policy == 'r' then
      if not waits(raw) or was_cut_off(raw) then return end
      if policy == 'r' then return holder, 'R', raw end
    end
    -- Of one that was buried as cut off nobody knew its key, which stands here still.
    if not waits(bases.get_one(holder)) and call('HEXISTS', RUNS, holder) == 0 then return end
    return holder, 'U'
  end

  -- A job that took another's place has no record of its own, so its id is noted with the other's, for those of a key that came
  -- last: repeated, it is the same job, and not one that comes after. As a job would be, it is known for its time to be kept.
  local MOST_NOTED, NOTED_FOR = 128, 3600000
  local function k_replaced(tenant, kind, unique) return P .. 'replaced:' .. tenant .. ':' .. kind .. '\0' .. unique end
  local function replaced_before(key, id)
    local place = call('LPOS', key, id)
    return place and call('LINDEX', key, place + 1)
  end
  local function note_replaced(key, notes)
    local length = call_many('LPUSH', key, notes, 256)
    if length > 2 * MOST_NOTED then call('LTRIM', key, 0, 2 * MOST_NOTED - 1) end
    local ms = string.format('%.0f', notes.ms)
    if length == #notes then call('PEXPIRE', key, ms) else call('PEXPIRE', key, ms, 'GT') end
  end

  -- Where a job stands that is put off: in a bucket for its time, or in the one from before if that is opened no later, and then
  -- has it go on. So one that is put off again and again stands in few. Returns whether it stands there already, and the bucket.
  local function bucket_for(run, before)
    local opens = before ~= '' and tonumber(call('ZSCORE', LATER, before) or nil)
    local still = opens and opens > now
    local bucket, its_opens = bucket_of(run)
    if not bucket then return false, still and before or '' end
    if still and opens <= its_opens then return true, before end
    return false, bucket
  end

  -- Puts what a newer job says into a job that waits. It keeps its id, lane and links.
  local function replace(id, raw, item, records, due)
    local r = open_record(raw)
    local lane = lane_of(r.lane)
    if lane then count(lane.queue, string.char(r.state), -1) end
    local was, run = r.state, item[7]
    r.keep, r.max, r.attempt, r.snoozes, r.error, r.progress = item[3], item[6], 0, 0, nil, nil
    local bucket = sub(field_of(r.more, 'u') or '', 2)
    r.payload = item.payload
    if run > now then
      r.state, r.run = SCHEDULED, run
      call('ZREM', DUE, id) -- it may go into a bucket (later.lua)
      local stands
      stands, bucket = bucket_for(run, bucket)
      if not stands then
        due[#due + 1] = run
        due[#due + 1] = id
      end
      if lane then count(lane.queue, 's', 1) end
    else
      r.state, r.run = AVAILABLE, now
      if was == AVAILABLE then
        if lane then count(lane.queue, 'a', 1) end
      else
        call('ZREM', DUE, id)
        make_available({ { id, r } }, false)
      end
    end
    r.more = with_field(with_field(r.more, 'h', nil), 'u', 'r' .. bucket)
    records[#records + 1] = id
    records[#records + 1] = seal_record(r)
    keep_listed(r)
    changes(id)
  end

  -- items: see wire.rs. Returns for each item a letter and an id: C created, E exists, U unique key taken, I idempotency
  -- conflict, R put in the place of a job that waits, B its batch is unknown or has ended. With `from_outside`, nothing but an
  -- error if the shard takes no new jobs now. (Kinds of follow-ups are known: turn.lua.)
  function create(items, lane_names, kind_names, from_outside)
    local parsed, ids = {}, {}
    for i = 1, #items do
      local item = { unpack_from('>c14BBHHHI6Hc0Hc0Hc0', items[i]) }
      if item[2] >= HAS_MORE then item.more, item.payload_at = unpack_from('>I4c0', items[i], item[11]) end
      parsed[i], ids[i] = item, item[1]
    end
    local existing, answers, fresh = bases.get(ids), {}, {}
    local seen, taken, marked, passing, replaced, members, till_of, noted = {}, {}, {}, {}, {}, {}, {}, {}
    for i, item in ipairs(parsed) do
      local id, unique, mark, fingerprint = item[1], item[8], item[9], item[10]
      local lane = read_lane(lane_names[item[4] + 1])
      local kind = kind_names[item[5] + 1]
      local policy = unique ~= '' and field_of(item.more, 'u')
      local letter = policy and sub(policy, 1, 1)
      local holder, unique_field, mark_key, way, till, raw, batch, replaced_key
      if existing[i] or seen[id] then
        answers[i] = 'E' .. id
      else
        if letter == 'r' then -- before its idempotency key, which it has itself
          replaced_key = k_replaced(lane.tenant, kind, unique)
          holder = replaced_before(replaced_key, id)
          if holder then answers[i] = 'R' .. holder end
        end
        if not holder and mark ~= '' then
          mark_key = k_idem(lane.tenant, mark)
          holder = marked[mark_key] or call('GET', mark_key)
          if holder then
            answers[i] = (sub(holder, 15) == fingerprint and 'E' or 'I') .. sub(holder, 1, 14)
          end
        end
        if not holder and item.more then
          batch = field_of(item.more, 'b')
          local counted_in = batch and members[batch]
          if batch and not counted_in then
            local fields = call('HMGET', k_batch(batch), 'tenant', 'ended')
            counted_in = { open = fields[1] == lane.tenant and not fields[2], jobs = 0 }
            members[batch] = counted_in
          end
          if batch and not counted_in.open then
            if from_outside then
              holder, answers[i] = id, 'B' .. id
            else -- it was promised when its parent was taken
              batch, item.more, item.rewritten = nil, with_field(item.more, 'b', nil), true
            end
          end
        end
        if not holder and unique ~= '' then
          unique_field = lane.tenant .. '\0' .. kind .. '\0' .. unique
          local first = taken[unique_field]
          if first then
            holder, way, raw = first, letter == 'r' and 'R' or 'U', seen[first]
          else
            holder, way, raw = holder_of(unique_field, letter, field_of(item.more, 'o'))
            if not holder then till, raw = raw, nil end
          end
          if letter == 'p' then till = now + unpack_from('>I6', policy, 2) end
          if holder then answers[i] = way .. holder end
          if way == 'R' then
            item.payload = sub(items[i], item.payload_at)
            replaced[holder] = { raw, item }
            local notes = noted[replaced_key] or { ms = 0 }
            noted[replaced_key], notes[#notes + 1], notes[#notes + 2] = notes, holder, id
            notes.ms = math.max(notes.ms, math.max(item[7] - now, 0) + math.max(KEEP_SECONDS[item[3]] * 1000, NOTED_FOR))
            if mark_key then
              -- No record names it.
              marked[mark_key] = holder .. fingerprint
              passing[mark_key] = math.max(item[7] - now, 0) + math.max(KEEP_SECONDS[item[3]] * 1000, 86400000)
            end
          end
        end
        if not holder then
          seen[id] = i
          if mark_key then marked[mark_key] = id .. fingerprint end
          if unique_field then taken[unique_field], till_of[unique_field] = id, till end
          if batch then members[batch].jobs = members[batch].jobs + 1 end
          answers[i] = 'C' .. id
          fresh[#fresh + 1] = i
        end
      end
    end

    if from_outside and gate then
      local new = {}
      for _, i in ipairs(fresh) do
        local queue = read_lane(lane_names[parsed[i][4] + 1]).queue
        new[queue] = (new[queue] or 0) + 1
      end
      local refused = refusal(new)
      if refused then return nil, refused end
    end

    -- From here on only writes.
    if #fresh == 0 and not next(replaced) then return answers end
    local kind_numbers = numbers_of(kind_names, KIND_IDS, KINDS, 'kind')
    if kind_numbers.err then return nil, kind_numbers end
    local lane_numbers, new_lanes = numbers_of(lane_names, LANE_IDS, LANES, 'lane')
    local records, due, by_lane, waiting, refs, by_kind = {}, {}, {}, {}, {}, {}
    for _, i in ipairs(fresh) do
      local id, flags, keep, lane_at, kind_at, max, run, unique, mark, _, pos = unpack(parsed[i], 1, 11)
      local body = items[i]
      local newer = replaced[id]
      if parsed[i].rewritten then
        local more = parsed[i].more
        flags = bit.band(flags, HAS_MORE - 1) + (more ~= '' and HAS_MORE or 0)
        body, pos = (more ~= '' and pack('>I4c0', #more, more) or '') .. sub(body, parsed[i].payload_at), 1
      end
      if newer then -- a job of the same call takes its place
        local item = newer[2]
        keep, max, run, replaced[id] = item[3], item[6], item[7], nil
        local more = with_field(parsed[i].more, 'u', field_of(item.more, 'u'))
        flags = bit.bor(flags, HAS_MORE)
        body, pos = pack('>I4c0', #more, more) .. item.payload, 1
      end
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
        local of_lane = by_lane[number]
        if not of_lane then
          of_lane = {}
          by_lane[number], waiting[#waiting + 1], waiting[#waiting + 2] = of_lane, number, of_lane
        end
        of_lane[#of_lane + 1] = id
      end
      records[#records + 1] = id
      records[#records + 1] = pack(HEAD, VERSION, state, flags, keep, kind, number, 0, max, 0, 0, 0, now, run, 0, 0)
        .. sections .. sub(body, pos)
      refs[number] = (refs[number] or 0) + 1
      local index = by_kind[lane.tenant]
      if not index then index = { all = {}, till = 0, kinds = {} }; by_kind[lane.tenant] = index end
      local of_kind = index.kinds[kind]
      if not of_kind then of_kind = {}; index.kinds[kind] = of_kind end
      of_kind[#of_kind + 1] = id
      index.all[#index.all + 1] = id
      index.till = math.max(index.till, run + KEEP_SECONDS[keep] * 1000 + MONTH)
      local parent = field_of(parsed[i].more, 'p')
      if parent then extend_list(k_children(parent), { id }, 1000, index.till) end
      changes(id)
    end
    for holder, newer in pairs(replaced) do replace(holder, newer[1], newer[2], records, due) end
    bases.create(records)
    if #due > 0 then schedule(due) end
    refer(refs, new_lanes)
    for field, id in pairs(taken) do
      local till = till_of[field]
      call('HSET', UNIQUE, field, till and (id .. pack('>I6', till)) or id)
      if till then call('ZADD', UNIQUE_TILL, till, field) end
    end
    for key, value in pairs(marked) do
      if passing[key] then call('SET', key, value, 'PX', string.format('%.0f', passing[key])) else call('SET', key, value) end
    end
    for key, notes in pairs(noted) do note_replaced(key, notes) end
    for batch, counted_in in pairs(members) do
      if counted_in.jobs > 0 then call('HINCRBY', k_batch(batch), 'total', counted_in.jobs) end
    end
    for tenant, index in pairs(by_kind) do
      for kind, list in pairs(index.kinds) do extend_list(k_index(tenant, kind), list, 1000, index.till) end
      extend_list(k_index(tenant, '*'), index.all, 10000, index.till)
    end
    for i = 1, #waiting, 2 do count(lane_of(waiting[i]).queue, 'a', #waiting[i + 1]) end
    push_all(waiting)
    return answers
  end
  return create(...)
end
