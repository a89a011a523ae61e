-- Most scopes say nothing but one cap of sends per calendar window, and have the same windows. Such a scope, met for the first time
-- in a call, is read, compared and written at once, without becoming an object (scopes.lua); whoever meets it again reads it as a
-- whole. That is given up for the rest of a call in which scopes differ.
do
  local MOST_STRIKES = 4
  local met, strikes = {}, 0

  -- Whether a scope may be looked at in this way, once.
  local function is_new(id)
    if not simply.limits or scopes[id] ~= nil or met[id] or unused[id] then return false end
    met[id] = true
    return true
  end

  -- The limits if they are simple and count in the field that was read.
  local function simple_limits(raw, counter)
    if raw == simply.limits.raw then return simply.limits end
    local limits = raw and (limits_of[raw] or read_limits(raw))
    if limits then
      limits_of[raw] = limits
      if limits.simple and limits.simple.counter == counter then return limits end
    end
    strikes = strikes + 1
    if strikes == MOST_STRIKES then simply.limits = false end
  end

  -- Takes up to so many ids with `pop` out of a lane whose only scope has room for as many, and reserves a unit for each. Returns
  -- the ids, or nothing, and nothing has changed, if that is not for this way.
  function simply.reserve(lane, jobs, pop, key_of_lane)
    local id = lane.scopes[1]
    if lane.scopes[2] or not is_new(id) then return end
    local key, counter = k_scope(id), simply.limits.simple.counter
    local fields = call('HMGET', key, 'limits', 'open', counter, 'paused', 'opened')
    local limits = simple_limits(fields[1], counter)
    if not limits or fields[4] == '1' or (fields[5] or '0') ~= caps_closing() then return end
    local open = numbers[fields[2] or '0']
    if limits.simple.limit - numbers[fields[3] or '0'] - open < jobs then return end
    local ids = pop(key_of_lane, jobs)
    if #ids > 0 then call('HSET', key, 'open', digits[open + #ids]) end
    return ids
  end

  -- Ends so many reservations in a scope whose units were all used now. Returns false if that is not for this way.
  function simply.settle(id, units)
    if not is_new(id) then return false end
    local key, counter = k_scope(id), simply.limits.simple.counter
    local fields = call('HMGET', key, 'limits', 'open', counter)
    if not simple_limits(fields[1], counter) then return false end
    call('HSET', key, 'open', digits[math.max(numbers[fields[2] or '0'] - units, 0)],
      counter, digits[numbers[fields[3] or '0'] + units])
    return true
  end
end
