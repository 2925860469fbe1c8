-- Registers a job and queues its message, both or neither.
-- KEYS: job, batch, batch's list of jobs, queue
-- ARGV: id, tenant, recipe, source, queue's name, batch (or ''), message for the queue (or '')
-- Returns 1 when accepted now, 0 when the job was already known (the same idempotency key).
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
redis.call('HSET', KEYS[1], 'state', 'queued', 'tenant', ARGV[2], 'recipe', ARGV[3],
  'source', ARGV[4], 'queue', ARGV[5], 'submitted_at', now)
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'batch', ARGV[6])
  redis.call('HINCRBY', KEYS[2], 'submitted', 1)
  redis.call('HSETNX', KEYS[2], 'first_at', now)
  redis.call('RPUSH', KEYS[3], ARGV[1])
end
if ARGV[7] ~= '' then
  redis.call('LPUSH', KEYS[4], ARGV[7])
end
return 1
