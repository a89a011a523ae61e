-- What the limits of scopes say (wire/limits.rs), with the windows of their caps as they are now.
-- The counter of a calendar window. Lua writes numbers of 15 digits (the year 5138) with an exponent.
local function counter_of(from, till)
  if till >= 1e14 then return string.format('u:%.0f:%.0f', from, till) end
  return 'u:' .. from .. ':' .. till
end

-- A cap as it holds now: its limit, when that ends (`till`), and the counter of the current calendar window or the first
-- instant (exclusive) of the moving one. Without a current window there is no limit, and `till` is the next start.
local function read_cap(raw, pos)
  local unit, kind, entries, first = unpack_from('>BBB', raw, pos)
  local cap = { unit = unit, at = first, entries = entries }
  if kind == 99 then
    for at = first, first + 18 * (entries - 1), 18 do
      local from, till, limit = unpack_from('>I6I6I6', raw, at)
      if now < till then
        if from <= now then
          cap.from, cap.till, cap.limit, cap.counter = from, till, limit, counter_of(from, till)
        else
          cap.till = from
        end
        break
      end
    end
    return cap, first + 18 * entries
  end
  local length, at = unpack_from('>I6', raw, first)
  cap.length, cap.from = length, now - length
  for step = at, at + 12 * (entries - 1), 12 do
    local from, limit = unpack_from('>I6I6', raw, step)
    if from > now then
      cap.till = from
      break
    end
    cap.limit = limit
  end
  return cap, at + 12 * entries
end

-- What limits say, read once for all scopes that have the same. Scopes inherit its fields.
local limits_of = {}
local function read_limits(raw)
  local _, every, burst, pair_every, pair_burst, flights, total, pos = unpack_from('>BI6I4I6I4I4B', raw)
  local limits = {
    raw = raw, every = every, burst = burst, pair_every = pair_every, pair_burst = pair_burst, flights = flights, all = {},
    caps = {}, longest = 0, counters = {}, is_current = {}, likely = {}, people = {}, people_longest = 0,
    people_kept = 8 * 86400000, -- after the last use of a scope; and until a week after the end of any window
  }
  for i = 1, total do
    local cap
    cap, pos = read_cap(raw, pos)
    limits.all[i] = cap
    if cap.unit == 114 then
      limits.people[#limits.people + 1] = cap
      limits.people_longest = math.max(limits.people_longest, cap.length or 0)
      limits.people_kept = math.max(limits.people_kept, 7 * 86400000 + (cap.length or cap.counter and cap.till - now or 0))
    else
      limits.caps[#limits.caps + 1] = cap
      if cap.counter and not limits.is_current[cap.counter] then
        limits.counters[#limits.counters + 1], limits.is_current[cap.counter] = cap.counter, true
      end
      limits.longest = math.max(limits.longest, cap.length or 0)
    end
  end
  for i, counter in ipairs(limits.counters) do limits.likely[i] = counter end
  if every > 0 then limits.likely[#limits.likely + 1] = 'tat' end
  limits.capped = total > 0
  limits.keyed = pair_every > 0 or #limits.people > 0
  limits.paced = every > 0 or flights < 0xFFFFFFFF
  -- The only thing it says is a cap of sends whose calendar window is open now.
  local cap = limits.caps[1]
  limits.simple = total == 1 and cap and cap.counter and not limits.keyed and not limits.paced and cap or false
  limits.heirs = { __index = limits }
  return limits
end
