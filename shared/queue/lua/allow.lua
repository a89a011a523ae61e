-- Takes units from rate limits. Each check takes all it asks for, from up to 4 limits, or nothing.
-- KEYS  1 jobs
-- ARGV  one check each, per limit: name (12 bytes), microseconds that a unit stands for I6, most units at once I4, units asked
--       for I4, units given back that were taken ahead I4, units to be taken ahead of later checks I4 (rates/wire.rs)
-- result  one answer each: B 1 allowed, 0 refused; then per limit microseconds until it is full again I6, units taken ahead I4
-- bounds  n <= 256 limits in all; a key lives until its limit is full. Ahead goes at most an eighth of what is left, and nothing
--         with a refused check, so that other processes find their part
local micros
do
  local time = call('TIME')
  micros = time[1] * 1000000 + time[2]
end
local ITEM = 34
local tats, changed, answers = {}, {}, {}
local function k_rate(name) return P .. 'rate:' .. name end
for at, raw in ipairs(ARGV) do
  local limits, fits = {}, true
  for pos = 1, #raw, ITEM do
    local name = sub(raw, pos, pos + 11)
    local every, burst, units, back, ahead = unpack_from('>I6I4I4I4I4', raw, pos + 12)
    local tat = tats[name]
    if not tat then tat = math.max(tonumber(call('GET', k_rate(name)) or 0), micros) end
    local most = micros + every * burst
    -- A limit that was lowered owes no more than its own burst.
    tat = math.min(tat, most)
    if back > 0 then
      tat = math.max(tat - back * every, micros)
      changed[name] = true
    end
    tats[name] = tat
    if tat + units * every > most then fits = false end
    limits[#limits + 1] = { name = name, every = every, most = most, units = units, ahead = ahead }
  end
  local answer = { fits and '\1' or '\0' }
  for _, limit in ipairs(limits) do
    local tat, granted = tats[limit.name], 0
    if fits then
      tat = tat + limit.units * limit.every
      if limit.ahead > 0 then
        granted = math.max(0, math.min(limit.ahead, math.floor((limit.most - tat) / limit.every / 8)))
        tat = tat + granted * limit.every
      end
      tats[limit.name], changed[limit.name] = tat, true
    end
    answer[#answer + 1] = pack('>I6I4', tat - micros, granted)
  end
  answers[at] = concat(answer)
end
for name in pairs(changed) do
  local left = tats[name] - micros
  if left > 0 then
    call('SET', k_rate(name), string.format('%.0f', tats[name]), 'PX', math.ceil(left / 1000))
  else
    call('DEL', k_rate(name))
  end
end
return concat(answers)
