-- Jobs that wait for a time. Those of the next two hours stand in the sorted set `due`; all others in lists, one per bucket
-- of time, which cost 16 bytes per job instead of 100. A bucket is opened an hour ahead and poured into `due`, so `due`
-- stays small however many jobs wait. A bucket beyond three days is 16 days wide (the year 9999 is 182,000 buckets away)
-- and is opened two days ahead, into buckets of an hour, which whatever comes later goes into at once.
-- An id may stand in a bucket although its job was cancelled, promoted or put off meanwhile: its record decides.
local bucket_of, schedule, open_bucket
do
  local HOUR, DAY = 3600000, 86400000
  local SOON, NEAR, WIDE = 2 * HOUR, 3 * DAY, 16 * DAY

  -- The bucket for a time, and when that is opened; none for a time that is near.
  function bucket_of(run, opened)
    if run - now <= SOON then return end
    local start = run - run % WIDE
    if not opened and run - now >= NEAR and start - 2 * DAY > now then return 'd' .. start / WIDE, start - 2 * DAY end
    start = run - run % HOUR
    return 'h' .. start / HOUR, start - HOUR
  end

  -- pairs: time and id, repeated. `opened`: they come from a wide bucket, so they go into narrow ones.
  function schedule(pairs_of, opened)
    local due, buckets, opens = {}, {}, {}
    for i = 1, #pairs_of, 2 do
      local run, id = pairs_of[i], pairs_of[i + 1]
      local bucket, open = bucket_of(run, opened)
      if not bucket then
        due[#due + 1] = run
        due[#due + 1] = id
      else
        local ids = buckets[bucket]
        if not ids then ids = {}; buckets[bucket] = ids end
        ids[#ids + 1] = id
        opens[bucket] = open
      end
    end
    if #due > 0 then call_many('ZADD', DUE, due, 400) end
    for bucket, ids in pairs(buckets) do
      if call_many('RPUSH', k_later(bucket), ids, 256) == #ids then call('ZADD', LATER, opens[bucket], bucket) end
    end
  end

  -- Pours up to `most` ids of a bucket whose time has come, fewer if their jobs are large. Returns how many, and whether more may
  -- follow.
  function open_bucket(most)
    local MOST_BYTES = 524288
    local bucket = call('ZRANGEBYSCORE', LATER, '-inf', now, 'LIMIT', 0, 1)[1]
    if not bucket then return 0, false end
    local key = k_later(bucket)
    local ids, found, bytes = {}, {}, 0
    for i, id in ipairs(call('LRANGE', key, 0, most - 1)) do
      if bytes >= MOST_BYTES then break end
      ids[i], bytes = id, bytes + bases.size(id)
    end
    call('LTRIM', key, #ids, -1)
    for i, raw in ipairs(bases.get(ids)) do
      local state = raw and string.byte(raw, 2)
      if state == SCHEDULED or state == RETRYABLE or raw and #raw < HEAD_LEN then
        found[#found + 1] = #raw >= HEAD_LEN and unpack_from('>I6', raw, 28) or now
        found[#found + 1] = ids[i]
      end
    end
    if call('EXISTS', key) == 0 then call('ZREM', LATER, bucket) end
    schedule(found, true)
    return #ids, #ids == most or bytes >= MOST_BYTES
  end
end
