-- What became of a call.
-- ARGV: id, fence that the call told of, delivered | later | dead, why, s until the next call,
--   s that one which was given up is kept, how many of those are kept
-- Returns 1, or 0 when the job has been begun again meanwhile.
local id, how, key = ARGV[1], ARGV[3], K.JOB .. ARGV[1]
local job = redis.call('HMGET', key, 'fence', 'state', 'ttl_s')
if job[1] ~= ARGV[2] or not ENDS[job[2]] then
  return 0
end
redis.call('HINCRBY', key, 'webhook_tries', 1)
redis.call('HSET', key, 'webhook_problem', ARGV[4])
redis.call('HDEL', key, 'webhook_called')
if how == 'later' then
  redis.call('ZADD', K.WEBHOOKS, now + ARGV[5], id)
  return 1
end
redis.call('ZREM', K.WEBHOOKS, id)
redis.call('ZREM', K.WEBHOOKS_DEAD, id)
if how == 'dead' then
  redis.call('EXPIRE', key, ARGV[6])
  redis.call('ZADD', K.WEBHOOKS_DEAD, stamp, id)
  redis.call('ZREMRANGEBYSCORE', K.WEBHOOKS_DEAD, '-inf', now - ARGV[6])
  redis.call('ZREMRANGEBYRANK', K.WEBHOOKS_DEAD, 0, -1 - ARGV[7])
  return 1
end
if job[2] == 'done' then -- never run again, and the URL may hold a token
  redis.call('HDEL', key, 'webhook')
end
redis.call('EXPIRE', key, job[3])
return 1
