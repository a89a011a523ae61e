-- Cancels the jobs of cancelled lanes in steps: `cancel_lane` only moved their list away.
-- Of up to `most` ids, fewer if their jobs are large. Returns how many were cancelled, and whether more remain.
local function cancel_doomed(most)
  local MOST_BYTES = 524288
  local entry = call('LINDEX', DOOMED, 0)
  if not entry then return 0, false end
  local key = P .. 'doomed:' .. entry
  local ids, bytes = {}, 0
  for i, id in ipairs(call('LRANGE', key, 0, most - 1)) do
    if bytes >= MOST_BYTES then break end
    ids[i], bytes = id, bytes + bases.size(id)
  end
  call('LTRIM', key, #ids, -1)
  local number = tonumber(string.match(entry, '^%d+'))
  local lane = lane_of(number)
  local raws, records, seen = get_records(ids), {}, {}
  for i, id in ipairs(ids) do
    local raw = not seen[id] and raws[i] -- it may stand there twice (claims.lua)
    local r = raw and open_record(raw)
    seen[id] = true
    if raw and not r then ended.bury_torn(id, number) end
    if r and r.state == AVAILABLE and r.lane == number then
      if lane then count(lane.queue, 'a', -1) end
      settle(r, '?', now)
      end_record(id, r, CANCELLED)
      records[#records + 1] = id
      records[#records + 1] = seal_record(r)
    end
  end
  bases.put(records)
  recipients.are_gone(ids)
  write_endings()
  if call('EXISTS', key) == 0 then call('LPOP', DOOMED) end
  return #records / 2, call('EXISTS', DOOMED) == 1
end
