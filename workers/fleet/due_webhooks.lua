-- The jobs whose webhook is to be called now; they are due again should the call be lost.
-- ARGV: jobs at most, s until they are due again. Returns their ids, each with the traceparent
-- that its notice belongs to, or ''.
local due = {}
local ids = redis.call('ZRANGEBYSCORE', K.WEBHOOKS, '-inf', stamp, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do
  redis.call('ZADD', K.WEBHOOKS, now + ARGV[2], id)
  due[#due + 1] = id
  due[#due + 1] = redis.call('HGET', K.JOB .. id, 'traceparent') or ''
end
return due
