-- A job needs more memory than its worker has: it waits on the queue of those that have more.
-- ARGV: id, fence, that queue, why, seconds to wait, a worker lives for s
-- Returns {outcome, messages to send}; outcome is rerouted; unserved when it has waited in vain, so
-- that the caller ends it; or superseded when another worker has taken it over.
local id, queue = ARGV[1], ARGV[3]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'fence', 'large_until')
if job[1] ~= 'running' or job[2] ~= ARGV[2] then
  return {'superseded', sent}
end
local due = tonumber(job[3] or now + tonumber(ARGV[5]))
local served = redis.call('ZCOUNT', K.CONSUMERS .. queue, now - tonumber(ARGV[6]), '+inf') > 0
if not served and now >= due then
  redis.call('ZREM', K.LARGE, id)
  return {'unserved', sent}
end
note(key, 'rerouted', ARGV[4])
redis.call('HSET', key, 'large_until', due)
redis.call('HDEL', key, 'lease_until')
redis.call('HINCRBY', key, 'attempts', -1)
redis.call('ZADD', K.LARGE, due, id)
begin_again(id, key, queue)
return {'rerouted', sent}
