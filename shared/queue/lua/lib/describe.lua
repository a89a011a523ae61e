-- Answers with records, and the names that their numbers stand for.

-- Number and name, repeated, for every number in the set.
local function resolve(set, key)
  local list, flat = {}, {}
  for number in pairs(set) do list[#list + 1] = number end
  for from = 1, #list, 256 do
    local found = call('HMGET', key, unpack(list, from, math.min(from + 255, #list)))
    for i = 1, #found do
      flat[#flat + 1] = list[from + i - 1]
      flat[#flat + 1] = found[i] or ''
    end
  end
  return flat
end

-- The same of lanes, of which most are known already.
local function names_of_lanes(set)
  local list, flat = {}, {}
  for number in pairs(set) do list[#list + 1] = number end
  load_lanes(list)
  for i, number in ipairs(list) do flat[2 * i - 1], flat[2 * i] = number, lanes[number] and lanes[number].raw or '' end
  return flat
end

local function describe(ids, raws)
  local numbers, kinds, reply = {}, {}, {}
  for i, id in ipairs(ids) do
    local raw = raws[i]
    reply[i] = id .. (raw or '')
    if raw and #raw >= HEAD_LEN then
      local _, kind, lane
      _, _, _, _, kind, lane = unpack_from('>BBBBHI4', raw)
      numbers[lane], kinds[kind] = true, true
    end
  end
  return { reply, resolve(numbers, LANES), resolve(kinds, KINDS) }
end

-- The same of the first of these ids, as many as fit a call, at least one; and the others.
local MOST_BYTES = 1048576
local function describe_first(ids)
  local first, others, bytes = ids, {}, 0
  for i, id in ipairs(ids) do
    bytes = bytes + bases.size(id)
    if bytes > MOST_BYTES and i > 1 then
      first, others = { unpack(ids, 1, i - 1) }, { unpack(ids, i) }
      break
    end
  end
  return describe(first, get_records(first)), others
end
