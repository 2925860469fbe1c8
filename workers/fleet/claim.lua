-- A worker takes up a job.
-- ARGV: id, owner, lease in s, attempts allowed, owner known to be dead (or ''), nano-dollars of a
--   core's second
-- Returns {outcome, fence, attempts, tries, owner, lease left in s, 1 where a budget wants it made
-- thriftily, messages to send}; outcome is one of run, busy, ended, cancelled, exhausted, late, held
-- (by a budget), unknown.
local id = ARGV[1]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'owner', 'lease_until', 'attempts', 'fence', 'batch',
  'tenant', 'queue', 'on', 'cancelled', 'deadline', 'tries', 'fanned_out', 'recipe', 'submitted_at')
local thrifty = 0
local state, owner, attempts = job[1], job[2] or '', tonumber(job[4] or '0')
local fence, batch, home, tries = tonumber(job[5] or '0'), job[6], job[8], tonumber(job[12] or '0')
local function answer(outcome, left)
  return {outcome, fence, attempts, tries, owner, left or 0, thrifty, sent}
end
if not state then
  return answer('unknown')
end
if ENDS[state] then
  return answer('ended')
end
if state == 'running' then
  local left = tonumber(job[3]) - now
  -- The process that handed a job over to its members may be gone: they go on.
  if left > 0 and (owner ~= ARGV[5] or job[13]) then
    return answer('busy', math.ceil(left))
  end
  note(key, 'lost', left > 0 and 'its process died' or 'its lease ran out')
  waste(key, left > 0)
end
if state == 'queued' and job[9] then
  local since = redis.call('ZSCORE', K.QUEUED .. job[9], id)
  local front = redis.call('HGET', K.FRONT, job[9])
  if since and tonumber(since) > tonumber(front or '0') then
    redis.call('HSET', K.FRONT, job[9], since)
  end
end
local outcome = 'run'
local blocked, rung
if job[10] or (batch and redis.call('HGET', K.BATCH .. batch, 'cancelled')) then
  outcome = 'cancelled'
elseif job[11] and now > tonumber(job[11]) then
  outcome = 'late'
elseif attempts >= tonumber(ARGV[4]) then
  outcome = 'exhausted'
else
  blocked, rung = holder(job[7], job[14], home)
  thrifty = rung > 0 and 1 or 0
end
if PENDING[state] then
  redis.call('HINCRBY', K.BACKLOG, home, -1)
  withdraw(id, state, job[7], job[9])
end
if blocked then
  redis.call('ZREM', K.RUNNING, id)
  redis.call('HINCRBY', K.IN_FLIGHT, job[7], -1)
  hold(id, key, blocked)
  pump(home)
  return answer('held')
end
if outcome == 'run' then
  attempts = attempts + 1
end
fence = fence + 1
if fence == 1 and outcome == 'run' then
  observe('job:wait', now - tonumber(job[15] or stamp))
end
local lease_until = now + tonumber(ARGV[3])
redis.call('HSET', key, 'state', 'running', 'owner', ARGV[2], 'lease_until', lease_until,
  'attempts', attempts, 'fence', fence, 'began', stamp, 'seen', stamp, 'core_nano', ARGV[6])
redis.call('HDEL', key, 'fanned_out')
redis.call('ZADD', K.RUNNING, lease_until, id)
pump(home)
return answer(outcome)
