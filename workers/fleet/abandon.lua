-- Who saw a job's process end says so, and the job goes on at once, before what has not begun.
-- ARGV: id, owner (host:pid), how (lost: the attempt counts; given_back: it does not), why,
--   queue for what goes on
-- Returns {ms of work that are thrown away, or -1 when the owner does not hold the job, messages to
--   send}.
local id, owner, how = ARGV[1], ARGV[2], ARGV[3]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'owner', 'fanned_out')
if job[1] ~= 'running' or job[2] ~= owner or job[3] then
  return {-1, sent}
end
note(key, how, ARGV[4])
local wasted_ms = waste(key, true)
if how == 'given_back' then
  redis.call('HINCRBY', key, 'attempts', -1)
end
redis.call('HDEL', key, 'lease_until')
begin_again(id, key, ARGV[5])
return {wasted_ms, sent}
