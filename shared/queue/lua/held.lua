-- What a session holds.
-- KEYS  1 jobs
-- ARGV  1 session, 2 1 if suspects are among it
-- result  ids and epochs in turn
-- bounds  256 claims of it, taken at random, and 1,024 ids
local session, suspects = ARGV[1], ARGV[2] == '1'
local claims, ids, by = call('HRANDFIELD', k_claims(session), 256, 'WITHVALUES'), {}, {}
for i = 1, #claims, 2 do
  if suspects or sub(claims[i], 1, 1) == 't' then
    for from = 1, #claims[i + 1], 14 do
      if #ids < 1024 then
        ids[#ids + 1] = sub(claims[i + 1], from, from + 13)
        by[#ids] = session .. claims[i]
      end
    end
  end
end
local answer, runs = {}, get_many(RUNS, ids)
for i, id in ipairs(ids) do
  if runs[i] and sub(runs[i], -WHOSE_LEN) == by[i] then
    answer[#answer + 1], answer[#answer + 2] = id, (select(11, unpack_from(FIRST, runs[i])))
  end
end
return answer
