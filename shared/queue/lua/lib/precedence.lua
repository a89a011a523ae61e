-- Where many lanes of a tenant have work, a visit gives each a lot and the next comes late. A lane that had none therefore stands
-- before them, behind those that came so before it, unless weights or woken lanes have an order of their own. It pays for twice
-- the jobs that it brings, with what lanes of the ring were given before (shares.lua), and is given no more of them at its first
-- visit: so at least half of all is given in turn. With the first that is given, or for a day before, comes FIRST_CREDIT; a
-- flood that brings many lanes at once does not use it up. (A fragment of its own, because alike.lua goes without the rest.)
local LONG_RING, MOST_IN_A_VISIT, MOST_CREDIT, FIRST_CREDIT, CREDIT_MS = 16, 64, 1024, 64, 86400000
local function k_precedence(prefix, ring) return prefix .. 'first:' .. string.sub(ring, #prefix + 1) end
-- These lanes just came to the end of a long ring, with work for one visit of so many jobs each. Those that can pay go before the
-- others.
local function put_first(prefix, ring, lanes, jobs)
  local call, ahead, field = redis.call, prefix .. 'ahead', string.sub(ring, #prefix + 1)
  if call('EXISTS', prefix .. 'rules', prefix .. 'woken') > 0 then return end
  local credit = k_precedence(prefix, ring)
  local left, paid = tonumber(call('GET', credit) or #lanes <= LONG_RING and FIRST_CREDIT or 0), 0
  local marks = {}
  for i, lane in ipairs(lanes) do
    local most = math.min(jobs[i], MOST_IN_A_VISIT)
    if left <= 2 * most then break end -- never all, so that none at all is none yet
    left, paid = left - 2 * most, i
    marks[2 * i - 1], marks[2 * i] = lane, most
  end
  if paid == 0 then return end
  call('SET', credit, left, 'PX', CREDIT_MS)
  call('RPOP', ring, #lanes)
  if paid < #lanes then call('RPUSH', ring, unpack(lanes, paid + 1)) end
  local last = call('HGET', ahead, field)
  for i = 1, paid do
    if not last or call('LINSERT', ring, 'AFTER', last, lanes[i]) < 0 then call('LPUSH', ring, lanes[i]) end
    last = lanes[i]
  end
  call('HSET', ahead, field, last, unpack(marks))
end
