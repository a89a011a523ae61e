-- Every key and channel of a shard. KEYS[1] is always the shard's `jobs` hash; all other keys share its tag and prefix,
-- so that one script may touch them all on one node of a cluster. The prefix carries the protocol version.
--   jobs        hash   id -> record                        due        zset   id by the time it becomes available
--   jobs:B      hash   the same for the jobs of block B    blocks     zset   numbers of the blocks there are (block.lua)
--   runs        hash   id -> record without payload and whose run it is, of all that run (record.lua)
--   lanes       hash   number -> lane                      lane_ids   hash   lane -> number
--   lane_refs   hash   number -> records that name it      lane:N     list   ids that wait
--   kinds       hash   number -> kind                      kind_ids   hash   kind -> number
--   ring:Q      list   tenants with work in queue Q        tenant:Q:T list   lanes of tenant T with work in Q
--   high:Q:T    list   its lanes of high priority          low:Q:T    list   its lanes of low priority
--   first:…     string what a lane that comes new into this tenant's list may pay with, to stand first (precedence.lua)
--   ahead       hash   lane that stands first -> jobs it paid for; tenant's list -> the last of these in it
--   rules       hash   L, lane -> its rule; T, tenant -> weight
--   credits     hash   what a turn in a ring that was cut short still grants; places of tenants in their slots
--   doomed      list   lists of ids that wait to be cancelled, each with its lane
--   suspects:Q  list   ids that twice saw a crash          suspected  set    queues with suspects
--   suspect_of  hash   session -> number, suspect taken    started:S  set    ids of S that began after a first crash
--   parked      zset   scope by the time it may give again parked_on  hash   lane -> the scope it waits for
--   woken       hash   lane -> its place in the line of a scope, until it is visited
--   lingering   hash   queue -> one of these that nobody visits (waking.lua)
--   served      hash   queue -> until when somebody who claims from it is known to live (renew.lua)
--   scope:S     hash   limits and counts (scopes.lua)      waiters:S  zset   lanes that wait for scope S, by time
--   sent:S      zset   units used, by time            people:S, opens:S, pairs:S   of scope S, by recipient (recipients.lua)
--   aside:N:R   list   ids of lane N for recipient R   asides:N    set    recipients with such a list
--   aside_till, aside_back, newcomers:S, byname:S      when to look at these lists again (recipients.lua)
--   sessions    zset   session by expiry, 0 = being reaped claims:S   hash   claim of session S -> ids it took
--   ended:S     hash   claim of S -> how many of them ended
--   answers     hash   session -> its last answer          charged:S  list   ids charged with the crash of S
--   pardoned    set    of these sessions, who live: what they were charged with is withdrawn in steps (charges.lua)
--   unique      hash   tenant, kind, key -> id             idem:T:K   string id and fingerprint
--   replaced:T:K list  newest ids of a unique key that took a waiting job's place, each followed by the id of that (creation.lua)
--   dead        zset   id by death number                  finished:C list   id and time, of keep class C
--   index:T:K   list   newest ids of tenant and kind       counts     hash   queue and state -> jobs
--   paused      set    queues                              cancelling set    running ids asked to stop
--   stopped     set    paused tenants                      away:T     set    queues whose ring paused tenant T left
--   later       zset   bucket by the time to open it    later:B    list   ids that become due in the time of bucket B
--   unique_till zset   unique keys by the time they end batch:B    hash   a batch: counts and completion job
--   children:J  list   newest children of job J         log:J      list   lines that the handler of job J wrote
--   meta        hash   counters, last tick, time before the clock was set back, end of grace, closings of caps, the master's replication id
--   gate        hash   what the shard does not take now (gate.lua)
--   heavy       string for an hour after a claim read much (sizes.lua)
--   rate:N      string when the rate limit N is full again, in µs (allow.lua)
--   mover       string token of the command that moves the shard, while it is at work
--   idle        zset   queue, zero byte, worker: who found nothing there and wants to be told
local P = string.sub(KEYS[1], 1, -5)
local JOBS, RUNS = KEYS[1], P .. 'runs'
local DUE, LANES, LANE_IDS, LANE_REFS = P .. 'due', P .. 'lanes', P .. 'lane_ids', P .. 'lane_refs'
local KINDS, KIND_IDS, PARKED, PARKED_ON = P .. 'kinds', P .. 'kind_ids', P .. 'parked', P .. 'parked_on'
local SESSIONS, ANSWERS, UNIQUE, DEAD = P .. 'sessions', P .. 'answers', P .. 'unique', P .. 'dead'
local COUNTS, PAUSED, CANCELLING, META = P .. 'counts', P .. 'paused', P .. 'cancelling', P .. 'meta'
local SUSPECTED, SUSPECT_OF, LATER, UNIQUE_TILL = P .. 'suspected', P .. 'suspect_of', P .. 'later', P .. 'unique_till'
local IDLE, WOKEN, RULES, CREDITS, DOOMED, GATE = P .. 'idle', P .. 'woken', P .. 'rules', P .. 'credits', P .. 'doomed', P .. 'gate'
local AHEAD = P .. 'ahead'
local call, pack, unpack_from, sub, concat = redis.call, struct.pack, struct.unpack, string.sub, table.concat
local now
do
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
--[[inner]] -- the rest of a script is a function of its own (script.rs)
local function k_lane(number) return P .. 'lane:' .. number end
local function k_ring(queue) return P .. 'ring:' .. queue end
-- Lanes of a tenant by priority: 0 normal, 1 high, 2 low.
local CLASSES = { [0] = 'tenant:', 'high:', 'low:' }
local function k_tenant(queue, tenant, class) return P .. CLASSES[class] .. queue .. ':' .. tenant end
local function k_suspects(queue) return P .. 'suspects:' .. queue end
local function k_scope(scope) return P .. 'scope:' .. scope end
local function k_sent(scope) return P .. 'sent:' .. scope end
local function k_waiters(scope) return P .. 'waiters:' .. scope end
local function k_claims(session) return P .. 'claims:' .. session end
local function k_ended(session) return P .. 'ended:' .. session end
local function k_started(session) return P .. 'started:' .. session end
local function k_charged(session) return P .. 'charged:' .. session end
local function k_idem(tenant, key) return P .. 'idem:' .. tenant .. ':' .. key end
local function k_finished(class) return P .. 'finished:' .. class end
local function k_index(tenant, kind) return P .. 'index:' .. tenant .. ':' .. kind end
local function k_later(bucket) return P .. 'later:' .. bucket end
local function k_batch(batch) return P .. 'batch:' .. batch end
local function k_children(id) return P .. 'children:' .. id end
local function k_log(id) return P .. 'log:' .. id end
-- Channels: `pr:3:events` tells ids that changed, `pr:worker:W` worker W a shard with work for it, `pr:wake:Q` everybody a
-- shard in which Q was resumed, `pr:cancel` an id to stop.
local SPACE, SHARD = string.match(P, '^{([^:}]*):(%d+)}')
local function channel_events() return SPACE .. ':' .. SHARD .. ':events' end
local function channel_worker(worker) return SPACE .. ':worker:' .. worker end
local function channel_wake(queue) return SPACE .. ':wake:' .. queue end
local function channel_cancel() return SPACE .. ':cancel' end
