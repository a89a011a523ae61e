-- What every creation of jobs needs: numbers for names, and the lists of newest ids.
local numbers_of, refer
do
  -- New lanes that no record names yet. A call may name lanes of jobs that it does not create: these are forgotten at its end, as
  -- the last record of a lane would never tell.
  local unnamed
  local function forget_unnamed()
    for number, raw in pairs(unnamed) do
      call('HDEL', LANES, number)
      call('HDEL', LANE_IDS, raw)
    end
  end

  -- A table of lanes and one of kinds travel with the batch, so that each name is resolved once. Returns their numbers, and which
  -- of them are new; or an error that names them, and nothing is written, if new kinds have no number that fits the two bytes of a
  -- record.
  function numbers_of(names, by_name, by_number, counter)
    local numbers = {}
    for from = 1, #names, 256 do
      local part = call('HMGET', by_name, unpack(names, from, math.min(from + 255, #names)))
      for i = 1, #part do numbers[from + i - 1] = part[i] and tonumber(part[i]) end
    end
    local by_names, by_numbers, new = {}, {}, {}
    for i = 1, #names do
      if not numbers[i] then by_names[#by_names + 1], by_names[#by_names + 2] = names[i], i end
    end
    if #by_names > 0 then
      if counter == 'kind' then
        local left, without = 65535 - tonumber(call('HGET', META, counter) or 0), {}
        for n = 2 * left + 1, #by_names, 2 do without[#without + 1] = by_names[n] end
        if without[1] then return redis.error_reply('NEWKINDS ' .. concat(without, ' ')) end
      end
      local last = call('HINCRBY', META, counter, #by_names / 2) - #by_names / 2
      for n = 2, #by_names, 2 do
        local i, number = by_names[n], last + n / 2
        numbers[i], new[number] = number, true
        by_names[n], by_numbers[n - 1], by_numbers[n] = number, number, names[i]
      end
      call_many('HSET', by_name, by_names, 400)
      call_many('HSET', by_number, by_numbers, 400)
      if by_number == LANES then
        if not unnamed then
          unnamed, at_end[#at_end + 1] = {}, forget_unnamed
        end
        for n = 1, #by_numbers, 2 do unnamed[by_numbers[n]] = by_numbers[n + 1] end
      end
    end
    return numbers, new
  end

  -- So many records more name each of these lanes; the new ones were named by none.
  function refer(refs, new)
    local first = {}
    for number, by in pairs(refs) do
      if unnamed then unnamed[number] = nil end
      if new[number] then
        first[#first + 1], first[#first + 2] = number, by
      else
        call('HINCRBY', LANE_REFS, number, by)
      end
    end
    call_many('HSET', LANE_REFS, first, 400)
  end
end

-- A list of ids, newest first, lives a month longer than the records that its newest entries name can, to the end of that day:
-- so most calls do not change it, and nothing of it goes into the log. Without ids, it only lives so long if it is there.
local function extend_list(key, ids, most, till)
  local length = call_many('LPUSH', key, ids, 256) or 0
  if length > most + 63 then call('LTRIM', key, 0, most - 1) end -- not for every single one
  till = string.format('%d', math.ceil(till / 86400000) * 86400)
  if length > 0 and length == #ids then call('EXPIREAT', key, till) else call('EXPIREAT', key, till, 'GT') end
end

-- The lists that have a job which was put off live as long as it does.
local function keep_listed(r)
  local lane, till, parent = lane_of(r.lane), r.run + KEEP_SECONDS[r.keep] * 1000 + MONTH, field_of(r.more, 'p')
  if lane then
    extend_list(k_index(lane.tenant, r.kind), {}, 1000, till)
    extend_list(k_index(lane.tenant, '*'), {}, 10000, till)
  end
  if parent then extend_list(k_children(parent), {}, 1000, till) end
end
