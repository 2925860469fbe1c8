-- The world is away: the job is tried again later, and this attempt does not count.
-- ARGV: id, fence, delay in s, why, nano-dollars of CPU that were in vain, then pairs of a kind of
--   request and nano-dollars
-- Returns 1, or 0 when another worker has taken the job over.
local id = ARGV[1]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'fence', 'queue', 'tenant', 'recipe')
if job[1] ~= 'running' or job[2] ~= ARGV[2] then
  return 0
end
note(key, 'delayed', ARGV[4])
redis.call('HSET', key, 'state', 'delayed')
redis.call('HDEL', key, 'lease_until')
redis.call('HINCRBY', key, 'attempts', -1)
redis.call('HINCRBY', key, 'tries', 1)
redis.call('HINCRBY', K.BACKLOG, job[3], 1)
redis.call('ZREM', K.RUNNING, id)
redis.call('ZADD', K.DELAYED, now + tonumber(ARGV[3]), id)
local nano = tonumber(ARGV[5])
local lines = {'retry', nano, '#retries', 1}
local requests = 0
for i = 6, #ARGV, 2 do
  requests = requests + tonumber(ARGV[i + 1])
  lines[#lines + 1] = ARGV[i]
  lines[#lines + 1] = ARGV[i + 1]
end
lines[#lines + 1] = '#retry_requests_nano'
lines[#lines + 1] = requests
charge(job[4], job[5], lines, nano)
return 1
