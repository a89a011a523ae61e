-- A session that was taken for dead lives: no crash, so the jobs that were charged with it are not suspect.
local function withdraw_charges(session)
  local ids = call('LRANGE', k_charged(session), 0, 255)
  if #ids == 0 then return end
  local raws = get_records(ids)
  for i, id in ipairs(ids) do
    local r = raws[i] and open_record(raws[i])
    if r and r.crashes > 0 and (r.state == AVAILABLE or r.state == RUNNING or r.state == SCHEDULED or r.state == RETRYABLE) then
      r.crashes = r.crashes - 1
      put_record(id, r)
    end
  end
  call('LTRIM', k_charged(session), #ids, -1)
end
