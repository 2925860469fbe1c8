-- The owner is still at work, or gives the job back (a lease of 0 s; the attempt does not count).
-- KEYS: job, running. ARGV: id, fence, lease in s.
-- Returns 1, or 0 when another worker has taken the job over.
local job = redis.call('HMGET', KEYS[1], 'state', 'fence')
if job[1] ~= 'running' or job[2] ~= ARGV[2] then
  return 0
end
local lease = tonumber(ARGV[3])
if lease == 0 then
  redis.call('HSET', KEYS[1], 'state', 'queued')
  redis.call('HINCRBY', KEYS[1], 'attempts', -1)
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 1
end
local lease_until = tonumber(redis.call('TIME')[1]) + lease
redis.call('HSET', KEYS[1], 'lease_until', lease_until)
redis.call('ZADD', KEYS[2], lease_until, ARGV[1])
return 1
