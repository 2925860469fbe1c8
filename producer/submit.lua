-- Registers a job; its message comes onto the queue when it is its tenant's turn.
-- ARGV: id, tenant, recipe, source, queue, batch (or ''), message, s until the deadline (0: none),
--   1 when its message is on the queue already (sent by a foreign client), webhook's URL (or '')
-- Returns {what, s to wait, why, messages to send}; what is 1 accepted, 0 known already (the same
-- idempotency key), -1 refused because too many jobs wait, -2 because a budget is closed: why is its
-- JSON.
local id, tenant, queue, batch = ARGV[1], ARGV[2], ARGV[5], ARGV[6]
local key = K.JOB .. id
if redis.call('EXISTS', key) == 1 then
  return {0, 0, '', sent}
end
local rung, budget = tightest({'fleet', 'tenant:' .. tenant, 'recipe:' .. ARGV[3]})
if rung == 3 and ARGV[9] == '0' then
  return {-2, math.ceil(budget.period[2] - now), shown(budget), sent}
end
if MAX_BACKLOG > 0 and ARGV[9] == '0' then
  local backlog = 0
  for _, count in ipairs(redis.call('HVALS', K.BACKLOG)) do
    backlog = backlog + tonumber(count)
  end
  for _, place in ipairs(redis.call('SMEMBERS', K.HOLDERS)) do
    backlog = backlog + redis.call('ZCARD', K.HELD .. place)
  end
  if backlog >= MAX_BACKLOG then
    local pace = redis.call('HMGET', K.PACE, 'per_s', 'minute')
    local per_s = tonumber(pace[1] or '0')
    -- Until a hundredth of the limit is free, so that refused producers do not come one by one.
    local wait_s = per_s > 0 and MAX_BACKLOG / 100 / per_s or 60
    return {-1, math.ceil(math.max(1, math.min(600, wait_s))), '', sent}
  end
end
redis.call('HSET', key, 'tenant', tenant, 'recipe', ARGV[3], 'source', ARGV[4], 'queue', queue,
  'message', ARGV[7], 'submitted_at', stamp)
if tonumber(ARGV[8]) > 0 then
  redis.call('HSET', key, 'deadline', now + tonumber(ARGV[8]))
  redis.call('ZADD', K.DEADLINES, now + tonumber(ARGV[8]), id)
end
if ARGV[10] ~= '' then
  redis.call('HSET', key, 'webhook', ARGV[10])
end
if batch ~= '' then
  redis.call('HSET', key, 'batch', batch)
  redis.call('HINCRBY', K.BATCH .. batch, 'submitted', 1)
  redis.call('HSETNX', K.BATCH .. batch, 'first_at', stamp)
  redis.call('RPUSH', K.BATCH_JOBS .. batch, id)
end
if ARGV[9] == '1' then
  redis.call('HSET', key, 'state', 'queued', 'on', queue)
  redis.call('HINCRBY', K.BACKLOG, queue, 1)
  redis.call('HINCRBY', K.IN_FLIGHT, tenant, 1)
  redis.call('ZADD', K.QUEUED .. queue, stamp, id)
else
  wait_for_turn(id, key, tenant, queue)
end
return {1, 0, '', sent}
