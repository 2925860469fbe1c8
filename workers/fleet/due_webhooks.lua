-- The jobs whose webhook is to be called now; they are due again should the call be lost.
-- ARGV: jobs at most, s until they are due again. Returns their ids.
local ids = redis.call('ZRANGEBYSCORE', K.WEBHOOKS, '-inf', stamp, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do
  redis.call('ZADD', K.WEBHOOKS, now + ARGV[2], id)
end
return ids
