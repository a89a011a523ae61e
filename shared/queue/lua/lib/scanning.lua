-- Another run of Redis, or another server, has the fields of a table in another order, so a cursor means nothing to it: whoever
-- walks is told with each place whose it is, and elsewhere begins anew what it was amid: the table, or of the records one block.
local function run_of_server() return string.match(call('INFO', 'server'), 'run_id:(%x+)') end
local function place_to_tell(cursor) return cursor == '0' and cursor or cursor .. '@' .. run_of_server() end
local function place_of_walk(told)
  local cursor, run = string.match(told, '^(.*)@(%x+)$')
  if not cursor then return '0' end
  if run == run_of_server() then return cursor end
  return (string.match(cursor, '^%x+:') or '') .. '0'
end

-- A piece of a walk over all records of the shard: about so many, or fewer if they are large or lie far apart in a table that was
-- larger once, so that no call is long. Returns ids and records in turn, and the next cursor, 0 at the end.
local function scan_jobs(cursor, most)
  local AT_A_TIME, MOST_BYTES, MOST_LOOKS = 4, 1048576, 128
  local fields, bytes, looks = {}, 0, 0
  local block, at = string.match(cursor, '^(%x+):(%d+)$')
  at = at or cursor
  repeat
    local found = call('HSCAN', block and JOBS .. ':' .. block or JOBS, at, 'COUNT', AT_A_TIME)
    at, looks = found[1], looks + 1
    if at == '0' then block = call('ZRANGEBYLEX', P .. 'blocks', block and '(' .. block or '-', '+', 'LIMIT', 0, 1)[1] end
    cursor = block and block .. ':' .. at or at
    for _, text in ipairs(found[2]) do
      fields[#fields + 1], bytes = text, bytes + #text
    end
  until cursor == '0' or #fields >= 2 * most or bytes >= MOST_BYTES or looks >= MOST_LOOKS
  return fields, cursor
end
