-- Takes over what the books outside say of a scope. Never lowers a count, so a repeat, or a fact known already, is harmless.
-- KEYS  1 jobs
-- ARGV  1 scope with its tenant, then facts:
--       w start I6, end I6, used I6    sends used in a calendar window
--       u at I6, first I4, after I4    sends used in this millisecond, numbered from the first to before the last, for moving windows
--       r recipient 16, at I6          used for this recipient at this time
-- result  1
-- bounds  n <= 256 facts, 1,024 sends in all, of 256 sends each; of a recipient that waits for a place, 64 lanes
local id = ARGV[1]
local key, counters, units, kept = k_scope(id), {}, {}, 367 * DAY_MS -- the next use sets what the scope's limits need
local scope, of_people = scope_of(id), false
for i = 2, math.min(#ARGV, 257) do
  local letter = sub(ARGV[i], 1, 1)
  if letter == 'w' then
    local from, till, used = unpack_from('>I6I6I6', ARGV[i], 2)
    counters[counter_of(from, till)] = used
  elseif letter == 'u' then
    local at, first, after = unpack_from('>I6I4I4', ARGV[i], 2)
    for n = first, math.min(after, first + 256) - 1 do
      units[#units + 1] = at
      units[#units + 1] = pack('>I6I4', at, n)
    end
  elseif letter == 'r' then
    local recipient, at = unpack_from('>c16I6', ARGV[i], 2)
    local open = call('HGET', recipients.k_opens(id), recipient)
    if open then
      local units, last = unpack_from('>I4I6', open)
      call('HSET', recipients.k_opens(id), recipient, pack('>I4I6', units, math.max(last, at)))
    else
      call('ZADD', recipients.k_people(id), 'GT', at, recipient)
    end
    of_people = true
    if scope then recipients.became_known(scope, recipient) end
  end
end
if of_people and call('EXISTS', recipients.k_opens(id)) == 0 then
  call('PEXPIRE', recipients.k_people(id), string.format('%.0f', math.max(kept, scope and scope.people_kept or 0)))
end
for counter, used in pairs(counters) do
  local known = tonumber(call('HGET', key, counter) or 0)
  if used > known then call('HSET', key, counter, string.format('%.0f', used)) end
end
if #units > 0 then
  call_many('ZADD', k_sent(id), units, 400)
  call('PEXPIRE', k_sent(id), kept)
end
return 1
