-- The record of a job: a head of 45 bytes, then the sections its flags name, in this order, then the payload.
--   version B, state B, flags B, keep class B, kind H, lane I4, attempt H, max attempts H, snoozes H, crashes B,
--   epoch I4, enqueued I6, run at I6, started I6, finished I6 (milliseconds since 1970)
-- The lane and the kind are numbers, resolved once per call, so that a record with 200 bytes of payload fits 256 bytes.
local HEAD, HEAD_LEN, VERSION = '>BBBBHI4HHHBI4I6I6I6I6', 45, 1
-- Its first part, up to the epoch, is the same in all jobs of a lane that were never tried. So it is taken apart and put
-- together once per call, not once per job.
local FIRST, FIRST_LEN, RUN_END, STARTED_END = '>BBBBHI4HHHBI4', 21, 33, 39
local BEFORE_LANE, AFTER_LANE = 6, 11 -- where it stands in there
local SCHEDULED, AVAILABLE, RUNNING, RETRYABLE, COMPLETED, CANCELLED, BURIED = 115, 97, 114, 116, 99, 120, 100
local RESERVED, CANCEL, HAS_UNIQUE, HAS_IDEM, HAS_ERROR, HAS_PROGRESS, HAS_OUTPUT, HAS_MORE = 1, 2, 4, 8, 16, 32, 64, 128
-- What few jobs have stands in one section `more`: its length I4, then fields of a letter, a length H and bytes. A letter
-- that a program does not know is kept as it is.
--   h  attempts that failed, oldest first: started I6, duration I4 (ms), error H     l  lines of log ever written, I4
--   b  batch, c14       f  batch whose end it was enqueued for, c14
--   k  whom it is for, c16: limits per recipient (recipients.lua)
--   w  since when workers met it that do not know its kind, and when one did last, I6 I6
--   p  parent, c14      o  the dead job it was redriven from, c14      u  how its unique key is held (creation.lua)
-- From so many crashes on a job is a suspect: only processes that can run it apart from all others take it.
local SUSPECT_FROM = 2

local open_record
do
  -- What the sections behind the head say. Returns where the payload begins.
  local function open_sections(r, raw, pos)
    local flags = r.flags
    if bit.band(flags, RESERVED) ~= 0 then r.reserved, pos = unpack_from('>I6', raw, pos) end
    r.cancel = bit.band(flags, CANCEL) ~= 0
    if bit.band(flags, HAS_UNIQUE) ~= 0 then r.unique, pos = unpack_from('>Hc0', raw, pos) end
    if bit.band(flags, HAS_IDEM) ~= 0 then r.idem, pos = unpack_from('>Hc0', raw, pos) end
    if bit.band(flags, HAS_ERROR) ~= 0 then r.error, pos = unpack_from('>Hc0', raw, pos) end
    if bit.band(flags, HAS_PROGRESS) ~= 0 then r.progress, pos = unpack_from('>I4c0', raw, pos) end
    if bit.band(flags, HAS_OUTPUT) ~= 0 then r.output, pos = unpack_from('>I4c0', raw, pos) end
    if flags >= HAS_MORE then r.more, pos = unpack_from('>I4c0', raw, pos) end
    return pos
  end

  -- What a record says; nothing if it is cut off (ending.lua), which must stop no call that is about others, too.
  function open_record(raw)
    if #raw < HEAD_LEN then return end
    local r, pos = {}, nil
    r.version, r.state, r.flags, r.keep, r.kind, r.lane, r.attempt, r.max, r.snoozes, r.crashes, r.epoch, r.enqueued,
      r.run, r.started, r.finished, pos = unpack_from(HEAD, raw)
    if r.flags ~= 0 then
      local whole
      whole, pos = pcall(open_sections, r, raw, pos)
      if not whole then return end
    end
    r.raw, r.body = raw, pos -- the payload is cut out when it is needed: Redis's Lua reads every byte of a string it makes
    return r
  end
end

-- Without its payload, as it stands in `runs`.
local function seal_run(r)
  local flags, sections = 0, ''
  if r.reserved then flags, sections = RESERVED, pack('>I6', r.reserved) end
  if r.cancel then flags = flags + CANCEL end
  if r.unique then flags, sections = flags + HAS_UNIQUE, sections .. pack('>Hc0', #r.unique, r.unique) end
  if r.idem then flags, sections = flags + HAS_IDEM, sections .. pack('>Hc0', #r.idem, r.idem) end
  if r.error then flags, sections = flags + HAS_ERROR, sections .. pack('>Hc0', #r.error, r.error) end
  if r.progress then flags, sections = flags + HAS_PROGRESS, sections .. pack('>I4c0', #r.progress, r.progress) end
  if r.output then flags, sections = flags + HAS_OUTPUT, sections .. pack('>I4c0', #r.output, r.output) end
  if r.more and r.more ~= '' then flags, sections = flags + HAS_MORE, sections .. pack('>I4c0', #r.more, r.more) end
  r.flags = flags
  return pack(HEAD, VERSION, r.state, flags, r.keep, r.kind, r.lane, r.attempt, r.max, r.snoozes, r.crashes, r.epoch,
    r.enqueued, r.run, r.started, r.finished) .. sections
end

local function seal_record(r) return seal_run(r) .. (r.payload or sub(r.raw, r.body)) end

-- A field of the section `more`, or nil.
local function field_of(more, letter)
  local pos, found, value = 1, nil, nil
  while more and pos <= #more do
    found, value, pos = unpack_from('>c1Hc0', more, pos)
    if found == letter then return value end
  end
end

-- The section `more` with this field set, or without it if the value is nil.
local function with_field(more, letter, value)
  local kept, from, pos = {}, 1, 1
  while more and pos <= #more do
    local found, _
    from = pos
    found, _, pos = unpack_from('>c1Hc0', more, pos)
    if found ~= letter then kept[#kept + 1] = sub(more, from, pos - 1) end
  end
  if value then kept[#kept + 1] = pack('>c1Hc0', letter, #value, value) end
  return concat(kept)
end

-- Notes an attempt that failed now. The newest MOST_ATTEMPTS are kept, with MOST_ERROR bytes of their errors.
local function note_attempt(r, error)
  local MOST_ATTEMPTS, MOST_ERROR = 10, 300
  local history, entries, pos = field_of(r.more, 'h') or '', {}, 1
  while pos <= #history do
    local from, _ = pos, nil
    _, _, _, pos = unpack_from('>I6I4Hc0', history, pos)
    entries[#entries + 1] = sub(history, from, pos - 1)
  end
  if #error > MOST_ERROR then
    local last = MOST_ERROR
    while last > 0 and bit.band(string.byte(error, last + 1), 0xC0) == 0x80 do last = last - 1 end
    error = sub(error, 1, last)
  end
  entries[#entries + 1] = pack('>I6I4Hc0', r.started, math.min(math.max(now - r.started, 0), 0xFFFFFFFF), #error, error)
  r.more = with_field(r.more, 'h', concat(entries, '', math.max(1, #entries - MOST_ATTEMPTS + 1)))
end

-- Calls a command with many arguments in steps of at most `step` (even), because Lua cannot unpack an unbounded list.
local function call_many(command, key, args, step)
  local reply
  for from = 1, #args, step do
    reply = call(command, key, unpack(args, from, math.min(from + step - 1, #args)))
  end
  return reply
end

-- Fields of a hash, however many.
local function get_many(key, ids)
  if #ids <= 256 then return #ids > 0 and call('HMGET', key, unpack(ids)) or {} end
  local values = {}
  for from = 1, #ids, 256 do
    local part = call('HMGET', key, unpack(ids, from, math.min(from + 255, #ids)))
    for i = 1, #part do values[from + i - 1] = part[i] end
  end
  return values
end

-- Records where they stand (block.lua), each as it was before it was claimed.
local bases = {}
do
  local homes, byte, FIRST_OF_MARK, BLOCK_LEN, BLOCKS = {}, string.byte, 158, 8, P .. 'blocks'
  local function home_of(id)
    if byte(id) ~= FIRST_OF_MARK then return JOBS end
    local block = sub(id, 1, BLOCK_LEN)
    local home = homes[block]
    if not home then
      home = block_of(JOBS, block)
      homes[block] = home
    end
    return home
  end

  -- The only home of these ids, which stand in every `step`th place; or nil, and the places by their homes.
  local function homes_of(list, step)
    local only = #list > 0 and home_of(list[1]) or JOBS
    for i = 1 + step, #list, step do
      if home_of(list[i]) ~= only then
        local by_home = {}
        for n = 1, #list, step do
          local home = home_of(list[n])
          local places = by_home[home]
          if not places then places = {}; by_home[home] = places end
          places[#places + 1] = n
        end
        return nil, by_home
      end
    end
    return only
  end

  local function part_of(list, places, step)
    local part, n = {}, 0
    for _, place in ipairs(places) do
      for i = place, place + step - 1 do n = n + 1; part[n] = list[i] end
    end
    return part
  end

  function bases.get(ids)
    local only, by_home = homes_of(ids, 1)
    if only then return get_many(only, ids) end
    local raws = {}
    for home, places in pairs(by_home) do
      local found = get_many(home, part_of(ids, places, 1))
      for n, place in ipairs(places) do raws[place] = found[n] end
    end
    return raws
  end

  -- The same, at most so many of a home at once, until more than enough bytes were read. Returns how many ids, the first of them, it
  -- has read, at least one, and the bytes, too.
  function bases.get_until(ids, most, enough)
    local raws, bytes, read, only, by_home = {}, 0, #ids, homes_of(ids, 1)
    local function get(home, its, places)
      for from = 1, #its, most do
        if bytes > enough then return end
        local part = call('HMGET', home, unpack(its, from, math.min(from + most - 1, #its)))
        for i = 1, #part do
          local raw, place = part[i], from + i - 1
          raws[places and places[place] or place] = raw
          if raw then bytes = bytes + #raw end
        end
      end
    end
    if only then get(only, ids) end
    for home, places in pairs(by_home or {}) do get(home, part_of(ids, places, 1), places) end
    if bytes > enough then
      read = 0
      while raws[read + 1] ~= nil do read = read + 1 end
      if read == 0 then raws[1], read = call('HGET', home_of(ids[1]), ids[1]), 1 end
    end
    return raws, read, bytes
  end

  function bases.get_one(id) return call('HGET', home_of(id), id) end

  function bases.size(id) return call('HSTRLEN', home_of(id), id) end

  local function each_home(list, step, act)
    local only, by_home = homes_of(list, step)
    if only then return act(only, list) end
    for home, places in pairs(by_home) do act(home, part_of(list, places, step)) end
  end

  -- Ids and records in turn.
  function bases.put(records)
    each_home(records, 2, function(home, its) call_many('HSET', home, its, 400) end)
  end

  -- The same for jobs that are new: of each block that begins with this, there is a note.
  function bases.create(records)
    each_home(records, 2, function(home, its)
      call_many('HSET', home, its, 400)
      if home ~= JOBS and call('HLEN', home) == #its / 2 then call('ZADD', BLOCKS, 0, sub(home, #JOBS + 2)) end
    end)
  end

  function bases.drop(ids)
    each_home(ids, 1, function(home, its)
      call_many('HDEL', home, its, 256)
      if home ~= JOBS and call('EXISTS', home) == 0 then call('ZREM', BLOCKS, sub(home, #JOBS + 2)) end
    end)
  end
end

-- A claim leaves the record in `jobs` as it is and writes what changed into `runs`, so that a payload is written once. While a
-- job runs, that is its record, and the payload the one in `jobs`; when it stops, it is written to `jobs` again. In `runs` it
-- is followed by whose run it is: the session, c8, and its claim, a letter and a number I12. So long a number makes each entry
-- longer than 64 bytes: a hash of shorter ones is packed by Redis while it is small, and every look-up in it a search.
local WHOSE_LEN, CLAIM_LEN = 21, 13
local function claim_of(letter, sequence) return letter .. pack('>I12', sequence) end
local function whose_run(run) return sub(run, -WHOSE_LEN, -CLAIM_LEN - 1) end
-- Nothing if the record is cut off.
local function payload_at(raw)
  if string.byte(raw, 3) == 0 and #raw >= HEAD_LEN then return HEAD_LEN + 1 end
  local r = open_record(raw)
  return r and r.body
end

-- The records as they are, wherever they stand.
local function get_records(ids)
  local raws, runs = bases.get(ids), get_many(RUNS, ids)
  for i = 1, #ids do
    local body = runs[i] and raws[i] and payload_at(raws[i])
    if body then raws[i] = sub(runs[i], 1, -WHOSE_LEN - 1) .. sub(raws[i], body) end
  end
  return raws
end

local function get_record(id) return get_records({ id })[1] end

-- The record of a job that the session runs, or nil.
local function held_record(session, id)
  local run = call('HGET', RUNS, id)
  local raw = run and whose_run(run) == session and get_record(id)
  return raw and open_record(raw)
end

-- Writes a record that neither starts nor stops running.
local function put_record(id, r)
  if r.state == RUNNING then
    call('HSET', RUNS, id, seal_run(r) .. sub(call('HGET', RUNS, id), -WHOSE_LEN))
  else
    bases.put({ id, seal_record(r) })
  end
end

-- Changes of the counters, written once at the end of the call.
local counted = {}
local function count(queue, state, by)
  local states = counted[queue]
  if not states then
    states = {}
    counted[queue] = states
  end
  states[state] = (states[state] or 0) + by
end

-- Ids whose record changed, told once at the end of the call.
local changed = {}
local function changes(id) changed[#changed + 1] = id end
