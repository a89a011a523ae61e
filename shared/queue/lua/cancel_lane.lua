-- Cancels all jobs of a lane that do not run, whatever their priority. Waiting ones are cancelled by the next steps of
-- maintenance, those that wait for a time when they would become available, a running one when it would be tried again.
-- KEYS  1 jobs
-- ARGV  1 lane
-- result  ids that waited in the lane
-- bounds  three lists are renamed, however long they are
local known, waiting = call('HMGET', LANE_IDS, unpack(variants(ARGV[1]))), 0
-- Without records there is nothing to cancel, and nobody would ever remove the mark (waiting.lua).
if not (known[1] or known[2] or known[3]) then return 0 end
local rule = rule_of(ARGV[1])
rule.cancelled = now
write_rule(ARGV[1], rule)
for _, number in ipairs(known) do
  -- What stepped aside from it (lib/recipients.lua) is fetched by the next steps of maintenance, too.
  if number and call('EXISTS', P .. 'asides:' .. number) == 1 then
    call('ZADD', P .. 'aside_till', 0, 'C' .. number)
    call('HDEL', META, 'aside ' .. number)
  end
  local length = number and call('LLEN', k_lane(number)) or 0
  if length > 0 then
    local entry = number .. ':' .. call('HINCRBY', META, 'doomed', 1)
    call('RENAME', k_lane(number), P .. 'doomed:' .. entry)
    call('RPUSH', DOOMED, entry)
    -- The list keeps an id of no job, because a lane in a ring or parked has a list.
    call('RPUSH', k_lane(number), string.rep('\0', 14))
    waiting = waiting + length
  end
end
finish()
return waiting
