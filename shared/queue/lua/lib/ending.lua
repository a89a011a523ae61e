-- Ends jobs: completed, cancelled or dead.
local ended = { refs = {}, by_class = {} }

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
  end
  if state == BURIED then
    call('ZADD', DEAD, call('HINCRBY', META, 'deaths', 1), id)
  else
    local list = ended.by_class[r.keep]
    if not list then list = {}; ended.by_class[r.keep] = list end
    list[#list + 1] = id .. pack('>I6', now)
  end
  if lane then count(lane.queue, string.char(state), 1) end
  changes(id)
end

local function write_endings()
  for class, list in pairs(ended.by_class) do call_many('RPUSH', k_finished(class), list, 256) end
end
