-- Where many lanes of a tenant have work, a visit gives each a lot and the next comes late. A lane that had none therefore comes
-- first, unless weights or woken lanes have an order of their own. It pays for twice the jobs that this may bring it at once
-- with what lanes of the ring were given before (shares.lua), so that at least half of all is given in turn. Within a minute in
-- which nothing was given, a few come first on credit. (A fragment of its own, because alike.lua goes without the rest.)
local LONG_RING, MOST_IN_A_VISIT, MOST_CREDIT, FIRST_CREDIT, CREDIT_MS = 16, 64, 8192, 128, 60000
local function k_precedence(prefix, ring) return prefix .. 'first:' .. string.sub(ring, #prefix + 1) end
-- So many lanes just came to the end of a long ring, with work for one visit each that sums up to so many jobs.
local function put_first(prefix, ring, lanes, jobs)
  if lanes > 16 or redis.call('EXISTS', prefix .. 'rules', prefix .. 'woken') > 0 then return end
  local credit = k_precedence(prefix, ring)
  local has = redis.call('GET', credit)
  local left = tonumber(has or FIRST_CREDIT) - 2 * jobs
  if left < 0 then return end
  if has then redis.call('DECRBY', credit, 2 * jobs) else redis.call('SET', credit, left, 'PX', CREDIT_MS) end
  redis.call('LPUSH', ring, unpack(redis.call('RPOP', ring, lanes)))
end
