-- Gives a tenant or a lane a weight: it gets so many turns where others get one.
-- KEYS  1 jobs
-- ARGV  1 L for a lane, T for a tenant, 2 its name, 3 weight
-- result  1
-- bounds  one key
if ARGV[1] == 'L' then
  local rule = rule_of(ARGV[2])
  rule.weight = tonumber(ARGV[3])
  write_rule(ARGV[2], rule)
elseif ARGV[3] == '1' then
  call('HDEL', RULES, 'T' .. ARGV[2])
else
  call('HSET', RULES, 'T' .. ARGV[2], ARGV[3])
end
return 1
