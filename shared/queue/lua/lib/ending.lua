-- Ends jobs: completed, cancelled or dead.
local ended = { by_class = {}, batches = {}, dead = {} }

-- Changes a record into its final form; the caller writes it. A completed job keeps its status and drops its payload.
local function end_record(id, r, state)
  local lane = lane_of(r.lane)
  if r.unique and lane then
    local kind = call('HGET', KINDS, r.kind)
    if kind then
      local field = lane.tenant .. '\0' .. kind .. '\0' .. r.unique
      if call('HGET', UNIQUE, field) == id then call('HDEL', UNIQUE, field) end
    end
  end
  if r.cancel then
    call('SREM', CANCELLING, id)
    r.cancel = nil
  end
  r.state, r.finished = state, now
  if state == COMPLETED then
    r.payload = ''
    r.unique = nil
    r.error = nil
    r.progress = nil
    if r.more then r.more = with_field(with_field(with_field(r.more, 'h', nil), 'u', nil), 'k', nil) end
  end
  local batch = r.more and field_of(r.more, 'b')
  if batch then
    local counts = ended.batches[batch]
    if not counts then counts = {}; ended.batches[batch] = counts end
    counts[state] = (counts[state] or 0) + 1
  end
  if state == BURIED then
    ended.dead[#ended.dead + 1] = id
  else
    local list = ended.by_class[r.keep]
    if not list then list = {}; ended.by_class[r.keep] = list end
    list[#list + 1] = id .. pack('>I6', now)
  end
  if lane then count(lane.queue, string.char(state), 1) end
  changes(id)
end

-- Of a record that is cut off nobody knows what its job was to do. It is buried with what can still be read of it, so that whoever
-- looks after dead letters learns of it.
ended.TORN = 'unreadable: its record is cut off'
function ended.remains_of(raw, number)
  local head = #raw >= HEAD_LEN and sub(raw, 1, HEAD_LEN) or raw .. string.rep('\0', HEAD_LEN - #raw)
  local r = open_record(sub(head, 1, 2) .. '\0' .. sub(head, 4))
  if bit.band(string.byte(raw, 3) or 0, RESERVED) ~= 0 then
    r.reserved = #raw >= HEAD_LEN + 6 and unpack_from('>I6', raw, HEAD_LEN + 1) or now
  end
  if #raw < BEFORE_LANE then r.kind = 0 end
  if #raw < BEFORE_LANE + 4 then r.lane = number or 0 end
  r.error, r.payload = ended.TORN, ''
  return r
end

-- What was found where jobs wait, perhaps in the lane of this number, and cannot be run. If that is because it is cut off, it is
-- buried, once, though it may stand in a lane twice (claims.lua). One that does not even name its lane is nobody's, and goes at once.
-- Returns false: it is no job to be had.
function ended.bury_torn(id, number)
  local raw = bases.get_one(id)
  if not raw or open_record(raw) or call('HEXISTS', RUNS, id) == 1 then return false end
  local r, state = ended.remains_of(raw, number), string.byte(raw, 2) or AVAILABLE
  local waits = state == AVAILABLE or state == SCHEDULED or state == RETRYABLE
  if not waits or (number and r.lane ~= number) then return false end
  -- Under a kind that has a name it can be shown.
  if r.kind == 0 then r.kind = numbers_of({ 'unreadable' }, KIND_IDS, KINDS, 'kind')[1] or 0 end
  local lane = lane_of(r.lane)
  if lane then count(lane.queue, string.char(state), -1) end
  r.state = state
  settle(r, '?', now)
  call('ZREM', DUE, id)
  end_record(id, r, lane and BURIED or CANCELLED)
  bases.put({ id, seal_record(r) })
  return false
end

local BATCH_KEPT = 7 * 86400000

-- Ends a batch that is sealed and whose jobs have all ended, and enqueues its completion job: once, because `ended` is set
-- in the same call and nothing is done for a batch that has it.
local function close_batch(key)
  local total, completed, cancelled, dead, sealed, over, item, lane, kind = unpack(
    call('HMGET', key, 'total', 'c', 'x', 'd', 'sealed', 'ended', 'item', 'lane', 'kind'))
  if not sealed or over then return end
  if tonumber(total or 0) > tonumber(completed or 0) + tonumber(cancelled or 0) + tonumber(dead or 0) then return end
  call('HSET', key, 'ended', now)
  call('HDEL', key, 'item')
  call('PEXPIRE', key, BATCH_KEPT)
  local answer = item and create({ item }, { lane }, { kind })
  -- Another job stands for it, if that has its unique key.
  if answer and answer[1] then call('HSET', key, 'then', sub(answer[1], 2)) end
end

-- After the follow-ups of what ended were created, so that they may belong to a batch whose last job that was.
local function write_endings()
  for class, list in pairs(ended.by_class) do call_many('RPUSH', k_finished(class), list, 256) end
  ended.by_class = {}
  local dead, numbered = ended.dead, {}
  if #dead > 0 then
    local first = call('HINCRBY', META, 'deaths', #dead) - #dead
    for i, id in ipairs(dead) do numbered[2 * i - 1], numbered[2 * i] = first + i, id end
    call_many('ZADD', DEAD, numbered, 400)
    ended.dead = {}
  end
  for batch, counts in pairs(ended.batches) do
    local key = k_batch(batch)
    if call('EXISTS', key) == 1 then
      for state, jobs in pairs(counts) do call('HINCRBY', key, string.char(state), jobs) end
      close_batch(key)
    end
  end
  ended.batches = {}
end
