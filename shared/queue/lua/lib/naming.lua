-- What every creation of jobs needs: numbers for names, and the lists of newest ids.
-- A table of lanes and one of kinds travel with the batch, so that each name is resolved once.
local function numbers_of(names, by_name, by_number, counter)
  local numbers = {}
  for from = 1, #names, 256 do
    local part = call('HMGET', by_name, unpack(names, from, math.min(from + 255, #names)))
    for i = 1, #part do numbers[from + i - 1] = part[i] and tonumber(part[i]) end
  end
  for i = 1, #names do
    if not numbers[i] then
      local number = call('HINCRBY', META, counter, 1)
      call('HSET', by_name, names[i], number)
      call('HSET', by_number, number, names[i])
      numbers[i] = number
    end
  end
  return numbers
end

-- A list of ids, newest first, lives a month longer than the records that its newest entries name can, to the end of that day:
-- so most calls do not change it, and nothing of it goes into the log.
local function extend_list(key, ids, most, till)
  local length = call_many('LPUSH', key, ids, 256)
  if length > most + 63 then call('LTRIM', key, 0, most - 1) end -- not for every single one
  till = string.format('%.0f', math.ceil(till / 86400000) * 86400)
  if length == #ids then call('EXPIREAT', key, till) else call('EXPIREAT', key, till, 'GT') end
end
