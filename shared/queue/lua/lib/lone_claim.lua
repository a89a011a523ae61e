-- The turn that starts a job on an idle queue, in the least time: it brings no outcomes and finds one job with nothing but a
-- payload, in a lane of ordinary priority without scopes, or nothing at all, while nothing is closed (gate.lua), under a rule,
-- paused or woken. It stands before keys.lua, because to define the library takes longer than to claim a job, and far longer
-- when Redis was idle and finds nothing of it in the processor's caches. Keys are named as there, and what is written and
-- answered is what the long way writes and answers; a test compares the two.
do
  local many = tonumber(ARGV[5]) or 0
  local session, sequence, want, worker = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
  local call, pack, unpack_from, sub = redis.call, struct.pack, struct.unpack, string.sub
  local prefix = sub(KEYS[1], 1, -5)

  -- Reads only, until it is sure that it can do all of it.
  local credited
  local function found()
    local some = call('EXISTS', prefix .. 'gate', prefix .. 'rules', prefix .. 'woken', prefix .. 'ahead', prefix .. 'credits')
    credited = some > 0 and call('EXISTS', prefix .. 'credits') == 1
    if some > (credited and 1 or 0) then return end
    local expiry, last = call('ZSCORE', prefix .. 'sessions', session), call('HGET', prefix .. 'answers', session)
    if not expiry or tonumber(expiry) == 0 or (last and unpack_from('>I6', last) >= sequence) then return end
    local some_paused = call('EXISTS', prefix .. 'paused', prefix .. 'stopped') > 0
    local job
    for i = 6, 5 + many do
      local queue = ARGV[i]
      local tenants = call('LRANGE', prefix .. 'ring:' .. queue, 0, 1)
      if #tenants > 0 then
        if job or #tenants > 1 then return end
        if some_paused and call('SISMEMBER', prefix .. 'paused', queue) == 1 then return end
        if some_paused and call('SISMEMBER', prefix .. 'stopped', tenants[1]) == 1 then return end
        local of_tenant = queue .. ':' .. tenants[1]
        local numbers = call('LRANGE', prefix .. 'tenant:' .. of_tenant, 0, 1)
        if #numbers ~= 1 or call('EXISTS', prefix .. 'high:' .. of_tenant, prefix .. 'low:' .. of_tenant) > 0 then return end
        local ids, lane = call('LRANGE', prefix .. 'lane:' .. numbers[1], 0, 1), call('HGET', prefix .. 'lanes', numbers[1])
        if #ids ~= 1 or not lane then return end
        local _, _, _, scopes = unpack_from('>Hc0Hc0Hc0B', lane)
        local raw = call('HGET', block_of(KEYS[1], ids[1]), ids[1])
        if scopes > 0 or not raw or #raw < 45 or string.byte(raw, 2) ~= 97 or string.byte(raw, 3) ~= 0 then return end
        job = { queue = queue, tenants = tenants[1], lane = lane, number = tonumber(numbers[1]), id = ids[1], raw = raw }
        if unpack_from('>I4', raw, 7) ~= job.number or call('HEXISTS', prefix .. 'runs', job.id) == 1 then return end
      end
    end
    return true, job
  end

  local sure, job
  if #ARGV == 8 + many and ARGV[8 + many] == '' and want > 0 then sure, job = found() end
  if sure then
    local time = call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local reply, lanes, kinds = {}, {}, {}
    if job then
      local id, raw, counts = job.id, job.raw, prefix .. 'counts'
      local version, _, _, keep, kind, lane, attempt, max, snoozes, crashes, epoch = unpack_from('>BBBBHI4HHHBI4', raw)
      local claim = 't' .. pack('>I12', sequence)
      -- There is nothing else in these lists.
      call('DEL', prefix .. 'lane:' .. job.number, prefix .. 'tenant:' .. job.queue .. ':' .. job.tenants,
        prefix .. 'ring:' .. job.queue)
      if credited then
        local of_tenant = job.queue .. ':' .. job.tenants
        call('HDEL', prefix .. 'credits', 'P' .. of_tenant, 'T' .. of_tenant)
      end
      call('HINCRBY', counts, job.queue .. ':l', -1)
      call('HINCRBY', counts, job.queue .. ':a', -1)
      call('HINCRBY', counts, job.queue .. ':r', 1)
      call('HSET', prefix .. 'runs', id,
        pack('>BBBBHI4HHHBI4', version, 114, 0, keep, kind, lane, attempt + 1, max, snoozes, crashes, epoch + 1)
          .. sub(raw, 22, 33) .. pack('>I6I6', now, 0) .. session .. claim)
      call('HSET', prefix .. 'claims:' .. session, claim, id)
      reply, lanes, kinds = { id, raw }, { lane, job.lane }, { kind, call('HGET', prefix .. 'kinds', kind) or '' }
    end
    call('HSET', prefix .. 'answers', session, pack('>I6Hc0', sequence, 0, ''))
    local full = #reply / 2 >= want
    if worker ~= '' and not full then
      for i = 6, 5 + many do call('ZADD', prefix .. 'idle', 0, ARGV[i] .. '\0' .. worker) end
      call('PEXPIRE', prefix .. 'idle', 60000)
    end
    if job then
      local space, shard = string.match(prefix, '^{([^:}]*):(%d+)}')
      call('PUBLISH', space .. ':' .. shard .. ':events', job.id)
    end
    return { 1, '', reply, lanes, kinds, worker ~= '' and full and 1 or 0, now }
  end
end
