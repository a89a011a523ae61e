-- Writes lines into the log of a job that the session holds. The newest 200 are kept, and how many there ever were.
-- KEYS  1 jobs
-- ARGV  1 session, 2 id, 3 epoch, then the lines
-- result  1 written, 0 the lease is lost
-- bounds  n <= 64 lines; lives as long as the record
local id = ARGV[2]
local r = held_record(ARGV[1], id)
if not r or r.epoch ~= tonumber(ARGV[3]) then return 0 end
local lines = {}
for i = 4, math.min(#ARGV, 67) do lines[#lines + 1] = pack('>I6', now) .. ARGV[i] end
if #lines == 0 then return 1 end
local written = field_of(r.more, 'l')
r.more = with_field(r.more, 'l', pack('>I4', (written and unpack_from('>I4', written) or 0) + #lines))
call('RPUSH', k_log(id), unpack(lines))
call('LTRIM', k_log(id), -200, -1)
put_record(id, r)
changes(id)
finish()
return 1
