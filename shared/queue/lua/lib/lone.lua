-- The most frequent call, in the least time: one plain job, for a lane and of a kind that the shard knows, while nothing is
-- closed (gate.lua). It stands before keys.lua, because to define the library takes twice as long as to create a job. Keys
-- are named as there, and what is written is what create_plain (plain.lua) writes; a test compares the two.
-- The number of a lane that was empty: the job is created, and the lane is still to get its place in the ring (enqueue_plain.lua).
local empty_lane
if #ARGV == 7 then
  local call, pack, unpack_from = redis.call, struct.pack, struct.unpack
  local prefix, id = string.sub(KEYS[1], 1, -5), ARGV[6]
  local number, kind = call('HGET', prefix .. 'lane_ids', ARGV[2]), call('HGET', prefix .. 'kind_ids', ARGV[4])
  if number and kind and call('EXISTS', prefix .. 'gate') == 0 then
    local time, keep, _, _, max = call('TIME'), unpack_from('>BHHH', ARGV[5])
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local head = pack('>BBBBHI4HHHBI4I6I6I6I6', 1, 97, 0, keep, kind, number, 0, max, 0, 0, 0, now, now, 0, 0)
    if call('HSETNX', KEYS[1], id, head .. ARGV[7]) == 0 then return 'E' end
    local queue, tenant = unpack_from('>Hc0Hc0', ARGV[2])
    call('HINCRBY', prefix .. 'lane_refs', number, 1)
    call('HINCRBY', prefix .. 'counts', queue .. ':a', 1)
    local function note(key, most)
      local length, till = call('LPUSH', key, id), now + KEEP_SECONDS[keep] * 1000 + MONTH
      if length > most + 63 then call('LTRIM', key, 0, most - 1) end
      if length == 1 then call('PEXPIREAT', key, till) else call('PEXPIREAT', key, till, 'GT') end
    end
    note(prefix .. 'index:' .. tenant .. ':' .. kind, 1000)
    note(prefix .. 'index:' .. tenant .. ':*', 10000)
    if call('RPUSHX', prefix .. 'lane:' .. number, id) > 0 then return 'C' end
    empty_lane = number
  end
end
