-- How long records of each class are kept after their end, in seconds; wire.rs has the same list.
local KEEP_SECONDS = { [0] = 1, 10, 60, 300, 900, 3600, 21600, 86400, 259200, 604800, 2592000, 7776000, 31536000 }
local MONTH = 30 * 86400000 -- ms
