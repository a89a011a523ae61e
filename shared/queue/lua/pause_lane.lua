-- Pauses or resumes a lane, in all priorities.
-- KEYS  1 jobs
-- ARGV  1 lane, 2 1 to pause, 0 to resume
-- result  1
-- bounds  three lanes
local rule = rule_of(ARGV[1])
rule.paused = ARGV[2] == '1'
write_rule(ARGV[1], rule)
if not rule.paused then
  local waiting = call('ZPOPMIN', k_waiters(pause_of(ARGV[1])), 3)
  for i = 1, #waiting, 2 do unpark(waiting[i]) end
end
finish()
return 1
