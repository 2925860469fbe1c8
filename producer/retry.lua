-- A job that did not end as done waits again for its turn, with all its attempts.
-- ARGV: id, then pairs name, integer: what its ending had added to its batch
-- Returns {1 or 0 when there is nothing to retry, messages to send}.
local id = ARGV[1]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'tenant', 'queue', 'batch', 'message')
local state, tenant, queue, batch = job[1], job[2], job[3], job[4]
if not ENDS[state] or state == 'done' or not job[5] then
  return {0, sent}
end
redis.call('PERSIST', key)
redis.call('HDEL', key, 'manifest', 'ended_at', 'cancelled', 'deadline', 'attempts', 'tries')
redis.call('DEL', K.TRIALS .. id)
redis.call('ZREM', K.ENDED .. state, id)
if batch then
  redis.call('HINCRBY', K.BATCH .. batch, 'failed', -1)
  redis.call('HDEL', K.BATCH .. batch, 'summarized', 'problem', 'cancelled')
  redis.call('PERSIST', K.BATCH .. batch)
  redis.call('PERSIST', K.BATCH_JOBS .. batch)
  for i = 2, #ARGV, 2 do
    redis.call('HINCRBY', K.BATCH .. batch, ARGV[i], -ARGV[i + 1])
  end
end
wait_for_turn(id, key, tenant, queue)
return {1, sent}
