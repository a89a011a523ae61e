-- The most frequent calls, in the least time: plain jobs that share lane, kind and policy, one or many, none of them there yet,
-- for a lane and of a kind that the shard knows, while nothing is closed (gate.lua). This stands before keys.lua, because to
-- define the library takes longer than to create twenty jobs, and far longer when Redis was idle and finds nothing of it in the
-- processor's caches. Keys are named as there, and what is written is what create_plain (plain.lua) writes; a test compares.
local many = (#ARGV - 5) / 2
if many == 1 or (many > 1 and many <= 256 and ARGV[1] == '1' and ARGV[3] == '1' and struct.unpack('>H', ARGV[5], 8) == many) then
  local call, pack, unpack_from, sub = redis.call, struct.pack, struct.unpack, string.sub
  local jobs, raw, last = block_of(KEYS[1], ARGV[6]), ARGV[2], 5 + many
  local prefix = sub(KEYS[1], 1, -5)
  local number, kind = call('HGET', prefix .. 'lane_ids', raw), call('HGET', prefix .. 'kind_ids', ARGV[4])
  local sure, records = number and kind and call('EXISTS', prefix .. 'gate') == 0, nil
  for i = 7, last do
    if sure and (jobs ~= KEYS[1] or string.byte(ARGV[i]) == 158) then sure = block_of(KEYS[1], ARGV[i]) == jobs end
  end
  if sure and many > 1 then
    records = call('HMGET', jobs, unpack(ARGV, 6, last))
    for i = 1, many do
      if records[i] then sure = false break end
    end
  end
  if sure then
    local time, keep, _, _, max = call('TIME'), unpack_from('>BHHH', ARGV[5])
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local head = pack('>BBBBHI4HHHBI4I6I6I6I6', 1, 97, 0, keep, kind, number, 0, max, 0, 0, 0, now, now, 0, 0)
    if records then
      local args, at = ARGV, 1
      for i = 6, last do
        records[at], records[at + 1] = args[i], head .. args[i + many]
        at = at + 2
      end
      for from = 1, 2 * many, 400 do call('HSET', jobs, unpack(records, from, math.min(from + 399, 2 * many))) end
    elseif call('HSETNX', jobs, ARGV[6], head .. ARGV[7]) == 0 then
      return 'E'
    end
    if jobs ~= KEYS[1] and call('HLEN', jobs) == many then call('ZADD', prefix .. 'blocks', 0, sub(jobs, -8)) end
    local queue, tenant, _, scopes, pos = unpack_from('>Hc0Hc0Hc0B', raw)
    -- Numbers are given to Redis as text: it is slow to write them itself.
    local by = string.format('%d', many)
    call('HINCRBY', prefix .. 'lane_refs', number, by)
    call('HINCRBY', prefix .. 'counts', queue .. ':a', by)
    local till = string.format('%d', math.ceil((now + KEEP_SECONDS[keep] * 1000 + MONTH) / 86400000) * 86400)
    local function note(key, most, extend)
      local length = call('LPUSH', key, unpack(ARGV, 6, last))
      if length > most + 63 then call('LTRIM', key, 0, most - 1) end
      if length == many then return call('EXPIREAT', key, till) end
      return extend and call('EXPIREAT', key, till, 'GT')
    end
    -- If the list of the kind lives as long already, that of all kinds does, too: it is extended with each of them.
    local later = note(prefix .. 'index:' .. tenant .. ':' .. kind, 1000, true) == 1
    note(prefix .. 'index:' .. tenant .. ':*', 10000, later)
    local answer = string.rep('C', many)
    if call('RPUSH', prefix .. 'lane:' .. number, unpack(ARGV, 6, last)) > many then return answer end

    -- The lane was empty: it goes into its ring, and an idle worker is told (lanes.lua).
    call('HINCRBY', prefix .. 'counts', queue .. ':l', '1')
    for _ = 1, scopes do _, pos = unpack_from('>Hc0', raw, pos) end
    local class = string.byte(raw, pos) or 0
    local function ring(of)
      of = of % 3
      return prefix .. (of == 0 and 'tenant:' or of == 1 and 'high:' or 'low:') .. queue .. ':' .. tenant
    end
    local length = call('RPUSH', ring(class), number)
    if length > LONG_RING then put_first(prefix, ring(class), { number }, { many }) end
    if length > 1 or call('EXISTS', ring(class + 1), ring(class + 2)) > 0
      or call('RPUSH', prefix .. 'ring:' .. queue, tenant) > 1 then return answer end
    local space, shard = string.match(prefix, '^{([^:}]*):(%d+)}')
    for _ = 1, 16 do
      local entry = call('ZRANGEBYLEX', prefix .. 'idle', '[' .. queue .. '\0', '(' .. queue .. '\1', 'LIMIT', 0, 1)[1]
      if not entry then break end
      call('ZREM', prefix .. 'idle', entry)
      if call('PUBLISH', space .. ':worker:' .. sub(entry, -16), shard) > 0 then break end
    end
    return answer
  end
end
