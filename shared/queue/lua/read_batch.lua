-- Reads a batch.
-- KEYS  1 jobs
-- ARGV  1 batch
-- result  tenant (or nothing if there is no such batch), opened, ended, sealed, total, completed, cancelled, dead, id of
--         the completion job
-- bounds  one batch
return call('HMGET', k_batch(ARGV[1]), 'tenant', 'opened', 'ended', 'sealed', 'total', 'c', 'x', 'd', 'then')
