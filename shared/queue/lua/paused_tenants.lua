-- Which tenants are paused.
-- KEYS  1 jobs
-- result  their names
-- bounds  as many as are paused
return call('SMEMBERS', P .. 'stopped')
