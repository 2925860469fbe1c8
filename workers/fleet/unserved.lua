-- Jobs that no worker with enough memory took up in time go back to any worker, which ends them.
-- ARGV: queue of large jobs, queue to go back to, a worker lives for s, look again in s
-- Returns {how many went back, messages to send}.
local queue, onward = ARGV[1], ARGV[2]
local served = redis.call('ZCOUNT', K.CONSUMERS .. queue, now - tonumber(ARGV[3]), '+inf') > 0
local back = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', K.LARGE, '-inf', stamp, 'LIMIT', 0, 100)) do
  local key = K.JOB .. id
  local job = redis.call('HMGET', key, 'state', 'on', 'tenant', 'message', 'sends')
  local waits = job[1] == 'queued' and job[2] == queue
  if waits and served then -- its turn comes
    redis.call('ZADD', K.LARGE, now + tonumber(ARGV[4]), id)
  else
    redis.call('ZREM', K.LARGE, id)
  end
  if waits and not served then
    if ON_REDIS then -- nobody would ever take it off
      local from, to = string.find(job[4], '@TAG@', 1, true)
      local tag = id .. '.' .. job[5]
      redis.call('LREM', queue, 0, string.sub(job[4], 1, from - 1) .. tag
        .. string.sub(job[4], to + 1))
    end
    withdraw(id, 'queued', job[3], queue)
    put_on(id, key, onward)
    back = back + 1
  end
end
return {back, sent}
