-- Who saw a job's process end says so: its message comes back by itself, and anyone may take it up.
-- ARGV: id, owner (host:pid), how (lost: the attempt counts; given_back: it does not), why
-- Returns the s of work that are thrown away, in ms, or -1 when the owner does not hold the job.
local id, owner, how = ARGV[1], ARGV[2], ARGV[3]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'owner', 'queue', 'on', 'began', 'fanned_out')
if job[1] ~= 'running' or job[2] ~= owner or job[6] then
  return -1
end
note(key, how, ARGV[4])
waste(key)
if how == 'given_back' then
  redis.call('HINCRBY', key, 'attempts', -1)
end
redis.call('HSET', key, 'state', 'queued')
redis.call('HDEL', key, 'lease_until')
redis.call('ZREM', K.RUNNING, id)
redis.call('HINCRBY', K.BACKLOG, job[3], 1)
if job[4] then
  redis.call('ZADD', K.QUEUED .. job[4], stamp, id)
end
return math.max(0, math.floor((now - tonumber(job[5] or stamp)) * 1000))
