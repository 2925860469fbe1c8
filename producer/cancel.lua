-- A job that no worker has taken up is to end as cancelled: a worker ends it, before other work.
-- ARGV: id, queue for what is to be ended
-- Returns {state before, messages to send}; a running job is marked, and ends by itself.
local id = ARGV[1]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'on', 'tenant')
local state = job[1]
if not state or ENDS[state] then
  return {state or '', sent}
end
redis.call('HSET', key, 'cancelled', '1')
if PENDING[state] and not (state == 'queued' and job[2] == ARGV[2]) then
  withdraw(id, state, job[3], job[2])
  put_on(id, key, ARGV[2])
end
return {state, sent}
