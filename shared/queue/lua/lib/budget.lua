-- How much of its time a call has used. A step of maintenance does at least one slice of each kind of work, and goes on only
-- while there is time: how many items fit differs with what the records hold, with memory that a rewrite of the log still
-- shares, and with the machine. A clock that stands still leaves the fixed bounds.
local has_time, in_slices
do
  local MOST_MICROS, SLICE = 2000, 32
  local function micros()
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
  end
  local began = micros()
  has_time = function() return micros() - began < MOST_MICROS end

  -- Does work in slices: `step(n)` does up to n and answers how many it did and whether more remains. Returns their sum, and
  -- whether more remains.
  in_slices = function(most, step)
    local sum, more = 0, true
    for from = 0, most - 1, SLICE do
      if from > 0 and not (more and has_time()) then break end
      local did
      did, more = step(math.min(SLICE, most - from))
      sum = sum + did
    end
    return sum, more
  end
end
