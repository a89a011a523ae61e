-- The most frequent call, in the least time: one plain job, for a lane and of a kind that the shard knows, while nothing is
-- closed (gate.lua). It stands before keys.lua, because to define the library takes twice as long as to create a job, and far
-- longer when Redis was idle and finds nothing of it in the processor's caches. Keys are named as there, and what is written
-- is what create_plain (plain.lua) writes; a test compares the two.
if #ARGV == 7 then
  local call, pack, unpack_from, sub = redis.call, struct.pack, struct.unpack, string.sub
  local prefix, raw, id = sub(KEYS[1], 1, -5), ARGV[2], ARGV[6]
  local number, kind = call('HGET', prefix .. 'lane_ids', raw), call('HGET', prefix .. 'kind_ids', ARGV[4])
  if number and kind and call('EXISTS', prefix .. 'gate') == 0 then
    local time, keep, _, _, max = call('TIME'), unpack_from('>BHHH', ARGV[5])
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local head = pack('>BBBBHI4HHHBI4I6I6I6I6', 1, 97, 0, keep, kind, number, 0, max, 0, 0, 0, now, now, 0, 0)
    if call('HSETNX', KEYS[1], id, head .. ARGV[7]) == 0 then return 'E' end
    local queue, tenant, _, scopes, pos = unpack_from('>Hc0Hc0Hc0B', raw)
    -- Numbers are given to Redis as text: it is slow to write them itself.
    call('HINCRBY', prefix .. 'lane_refs', number, '1')
    call('HINCRBY', prefix .. 'counts', queue .. ':a', '1')
    local till = string.format('%.0f', math.ceil((now + KEEP_SECONDS[keep] * 1000 + MONTH) / 86400000) * 86400)
    local function note(key, most, extend)
      local length = call('LPUSH', key, id)
      if length > most + 63 then call('LTRIM', key, 0, most - 1) end
      if length == 1 then return call('EXPIREAT', key, till) end
      return extend and call('EXPIREAT', key, till, 'GT')
    end
    -- If the list of the kind lives as long already, that of all kinds does, too: it is extended with each of them.
    local later = note(prefix .. 'index:' .. tenant .. ':' .. kind, 1000, true) == 1
    note(prefix .. 'index:' .. tenant .. ':*', 10000, later)
    if call('RPUSH', prefix .. 'lane:' .. number, id) > 1 then return 'C' end

    -- The lane was empty: it goes into its ring, and an idle worker is told (lanes.lua).
    call('HINCRBY', prefix .. 'counts', queue .. ':l', 1)
    for _ = 1, scopes do _, pos = unpack_from('>Hc0', raw, pos) end
    local class = string.byte(raw, pos) or 0
    local function ring(of)
      of = of % 3
      return prefix .. (of == 0 and 'tenant:' or of == 1 and 'high:' or 'low:') .. queue .. ':' .. tenant
    end
    if call('RPUSH', ring(class), number) > 1 or call('EXISTS', ring(class + 1), ring(class + 2)) > 0
      or call('RPUSH', prefix .. 'ring:' .. queue, tenant) > 1 then return 'C' end
    local space, shard = string.match(prefix, '^{([^:}]*):(%d+)}')
    for _ = 1, 16 do
      local entry = call('ZRANGEBYLEX', prefix .. 'idle', '[' .. queue .. '\0', '(' .. queue .. '\1', 'LIMIT', 0, 1)[1]
      if not entry then break end
      call('ZREM', prefix .. 'idle', entry)
      if call('PUBLISH', space .. ':worker:' .. sub(entry, -16), shard) > 0 then break end
    end
    return 'C'
  end
end
