-- A session that was taken for dead lives: no crash, so the jobs that were charged with it are not suspect. Of large ones, few are
-- looked at in a call; what is left, and what is still to be taken back from the session, is up to the steps of maintenance.

-- Withdraws up to `most` charges. Returns how many it looked at, and whether more are left.
local function withdraw_charges(session, most)
  local MOST_BYTES, PARDONED = 524288, P .. 'pardoned'
  local key, ids, bytes = k_charged(session), {}, 0
  local charged = call('LRANGE', key, 0, most - 1)
  while #ids < #charged and bytes < MOST_BYTES do
    local id = charged[#ids + 1]
    ids[#ids + 1], bytes = id, bytes + bases.size(id)
  end
  local raws = get_records(ids)
  for i, id in ipairs(ids) do
    local r = raws[i] and open_record(raws[i])
    if r and r.crashes > 0 and (r.state == AVAILABLE or r.state == RUNNING or r.state == SCHEDULED or r.state == RETRYABLE) then
      r.crashes = r.crashes - 1
      put_record(id, r)
    end
  end
  if #ids > 0 then call('LTRIM', key, #ids, -1) end
  local left = call('EXISTS', key) == 1
  if left or call('ZSCORE', SESSIONS, session) then
    call('SADD', PARDONED, session)
  else
    call('SREM', PARDONED, session)
  end
  return #ids, left
end
