-- A call is not to be long, however large jobs are. Most are small, so nobody looks at their sizes unless a call of the last hour
-- read more than MOST_BYTES; then each takes no more of a queue than its part of it, but one job at least. The call that finds
-- out has read no more than a few too many, and leaves the others where they were.
local sizes = {}
do
  local MOST_BYTES, HEAVY, HEAVY_FOR = 524288, P .. 'heavy', 3600000
  -- So many records are read between two looks at how large they were.
  local IN_A_READ = 16
  local are_heavy, budget, bytes

  -- What follows is taken of one of so many queues.
  function sizes.of_one(queues) budget, bytes = MOST_BYTES / queues, 0 end

  function sizes.is_full() return are_heavy and bytes >= budget end

  -- How many of these ids, the first of them, still belong into this call.
  function sizes.fitting(ids)
    if are_heavy == nil then are_heavy = call('EXISTS', HEAVY) == 1 end
    if not are_heavy then return #ids end
    for i, id in ipairs(ids) do
      bytes = bytes + bases.size(id)
      if bytes >= budget then
        call('PEXPIRE', HEAVY, HEAVY_FOR)
        return i
      end
    end
    return #ids
  end

  -- The records in `jobs` of these ids; of the first of them, if all would be too much for a call. Returns how many it read, too.
  function sizes.read(ids)
    if are_heavy then return bases.get(ids), #ids end
    local raws, read, more = bases.get_until(ids, IN_A_READ, MOST_BYTES - bytes)
    bytes = bytes + more
    if bytes > MOST_BYTES then
      call('SET', HEAVY, '1', 'PX', HEAVY_FOR)
      are_heavy = true
    end
    return raws, read
  end
end
