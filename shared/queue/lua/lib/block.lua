-- Jobs that one process enqueues one after the other share a block: a hash of some thousand records, which lie together in memory
-- and in the processor's caches, while each entry of one hash of a million lies far from the last. The id tells the home of its
-- record: of a block if it begins with this mark, followed by the number of the block (id.rs), and else `jobs`.
local function block_of(jobs, id)
  if string.sub(id, 1, 4) ~= '\158\055\121\177' then return jobs end
  return jobs .. string.format(':%08x', (struct.unpack('>I4', id, 5)))
end
