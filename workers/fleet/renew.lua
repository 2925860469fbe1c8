-- The owner of a job, or of a part of it, is still at work.
-- ARGV: id, fence, lease in s, part (or ''), what is being said: work, hand_over or over, ms of this
--   part's work that are thrown away
-- hand_over: the job goes on in parts; over: this part has ended.
-- Returns 1, or 0 when another worker has taken the job over.
local id, fence, part, what = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local key, member = K.JOB .. id, ARGV[1] .. '#' .. ARGV[2] .. '#' .. ARGV[4]
local job = redis.call('HMGET', key, 'state', 'fence')
waste_ms(key, tonumber(ARGV[6]))
if part ~= '' and what == 'over' then
  redis.call('ZREM', K.PARTS, member)
end
if job[1] ~= 'running' or job[2] ~= fence then
  redis.call('ZREM', K.PARTS, member)
  return 0
end
local lease_until = now + tonumber(ARGV[3])
if part ~= '' and what ~= 'over' then
  redis.call('ZADD', K.PARTS, lease_until, member)
end
if part ~= '' or what == 'hand_over' then
  -- A job in parts may stand still between one's end and the next one's start.
  lease_until = lease_until + tonumber(ARGV[3])
end
if what == 'hand_over' then
  redis.call('HSET', key, 'fanned_out', '1')
end
redis.call('HSET', key, 'lease_until', lease_until, 'seen', stamp)
redis.call('ZADD', K.RUNNING, lease_until, id)
return 1
