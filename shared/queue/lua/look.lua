-- Whether a step of maintenance (tick.lua) would find something to do, at a fraction of its cost: many processes look.
-- KEYS  1 jobs
-- ARGV  1 ms after the last step from which on one is due in any case, 2 ms that others have to do what is due by a list
-- result  {1 if a step is due, when the last one was, ms until one is due, 1 if suspects wait}
-- bounds  one look at the head of each list of times
local last, suspects = tonumber(call('HGET', META, 'tick') or 0), 0
local wait = now < last and 0 or math.max(0, last + tonumber(ARGV[1]) - now)
if call('EXISTS', DUE, PARKED, LATER, SUSPECTED) > 0 then
  for _, key in ipairs({ DUE, PARKED, LATER }) do
    local till = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
    if till then wait = math.min(wait, math.max(0, till + tonumber(ARGV[2]) - now)) end
  end
  suspects = call('EXISTS', SUSPECTED)
end
return { wait == 0 and 1 or 0, last, wait, suspects }
