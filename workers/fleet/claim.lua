-- A worker takes up a job.
-- KEYS: job, running, batch's hash prefix
-- ARGV: id, owner, lease in s, attempts allowed, owner known to be dead (or '')
-- Returns {outcome, fence, attempts, owner, lease left in s}; outcome is one of
-- run, busy, ended, cancelled, exhausted. A job nobody registered (sent by a foreign client) is
-- registered here.
local now = tonumber(redis.call('TIME')[1])
local job = redis.call('HMGET', KEYS[1], 'state', 'owner', 'lease_until', 'attempts', 'fence', 'batch')
local state, owner, attempts = job[1], job[2] or '', tonumber(job[4] or '0')
local fence = tonumber(job[5] or '0')
if state == 'done' or state == 'failed' then
  return {'ended', fence, attempts, owner, 0}
end
if state == 'running' then
  local left = tonumber(job[3]) - now
  if left > 0 and owner ~= ARGV[5] then
    return {'busy', fence, attempts, owner, left}
  end
end
local outcome = 'run'
if attempts >= tonumber(ARGV[4]) then
  outcome = 'exhausted'
elseif job[6] and redis.call('HGET', KEYS[3] .. job[6], 'cancelled') then
  outcome = 'cancelled'
else
  attempts = attempts + 1
end
fence = fence + 1
local lease_until = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'state', 'running', 'owner', ARGV[2], 'lease_until', lease_until,
  'attempts', attempts, 'fence', fence)
redis.call('HSETNX', KEYS[1], 'submitted_at', now)
redis.call('ZADD', KEYS[2], lease_until, ARGV[1])
return {outcome, fence, attempts, owner, 0}
