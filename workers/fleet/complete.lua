-- A job ends, once: only the newest fence may end it, and the spend is charged in the same step.
-- KEYS: job, running, spend of the day, totals, batch's hash prefix
-- ARGV: id, fence, state, manifest, ttl in s, spend's field, then pairs name, integer to be added
-- Returns {accepted 0/1, batch or '', 1 when this was the last job of a closed batch}.
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'batch')
if job[1] ~= 'running' or job[2] ~= ARGV[2] then
  return {0, '', 0}
end
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'manifest', ARGV[4],
  'ended_at', now)
redis.call('HDEL', KEYS[1], 'lease_until')
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[4], ARGV[3], 1)
local batch = job[3]
local batch_key = KEYS[5] .. (batch or '')
if batch then
  redis.call('HINCRBY', batch_key, ARGV[3], 1)
  redis.call('HSET', batch_key, 'last_at', now)
end
for i = 7, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[4], ARGV[i], ARGV[i + 1])
  if batch then
    redis.call('HINCRBY', batch_key, ARGV[i], ARGV[i + 1])
  end
  if ARGV[i] == 'cost_nano_usd' then
    redis.call('HINCRBY', KEYS[3], ARGV[6], ARGV[i + 1])
  end
end
if not batch then
  return {1, '', 0}
end
local counts = redis.call('HMGET', batch_key, 'submitted', 'done', 'failed', 'closed')
local ended = tonumber(counts[2] or '0') + tonumber(counts[3] or '0')
local last = counts[4] and ended >= tonumber(counts[1] or '0')
return {1, batch, last and 1 or 0}
