-- A job ends, once: only the newest fence may end it, and the spend is charged in the same step.
-- ARGV: id, fence, state, why, manifest, ttl in s, ttl in s of a batch's job, nano-dollars of it all
--   that are for the machine's time, how many pairs are sums, JSON of what was seen (experience: pairs,
--   peak's field, bytes; took: seconds by stage; failed: codes), then pairs name, integer: sums of the fleet and the batch first,
--   then what is charged
-- Returns {accepted 0/1, batch that ended with it or '', messages to send}.
local id, state = ARGV[1], ARGV[3]
local key = K.JOB .. id
local job = redis.call('HMGET', key, 'state', 'fence', 'batch', 'tenant', 'queue', 'recipe',
  'submitted_at', 'began')
if job[1] ~= 'running' or job[2] ~= ARGV[2] then
  return {0, '', sent}
end
local batch, home = job[3], job[5]
note(key, state, ARGV[4])
redis.call('HSET', key, 'state', state, 'manifest', ARGV[5], 'ended_at', stamp)
redis.call('HDEL', key, 'lease_until', 'fanned_out')
if state == 'done' then -- the others may be retried
  redis.call('HDEL', key, 'message')
end
redis.call('EXPIRE', key, batch and ARGV[7] or ARGV[6])
if redis.call('HEXISTS', key, 'webhook') == 1 then -- kept until its receiver knows
  redis.call('HSET', key, 'ttl_s', redis.call('TTL', key), 'webhook_tries', 0)
  redis.call('PERSIST', key)
  redis.call('ZADD', K.WEBHOOKS, stamp, id)
end
redis.call('ZREM', K.RUNNING, id)
redis.call('ZREM', K.DEADLINES, id)
redis.call('ZADD', K.ENDED .. state, stamp, id)
redis.call('ZREMRANGEBYRANK', K.ENDED .. state, 0, state == 'done' and -1001 or -10001)
if redis.call('HINCRBY', K.IN_FLIGHT, job[4], -1) <= 0 then
  redis.call('HDEL', K.IN_FLIGHT, job[4])
end
local minute = math.floor(now / 60)
local pace = redis.call('HMGET', K.PACE, 'minute', 'ended')
if tonumber(pace[1] or '0') ~= minute then
  local last = tonumber(pace[1] or '0') == minute - 1 and tonumber(pace[2]) or 0
  redis.call('HSET', K.PACE, 'minute', minute, 'ended', 0, 'per_s', last / 60)
end
redis.call('HINCRBY', K.PACE, 'ended', 1)
local count = state == 'done' and 'done' or 'failed'
local batch_key = K.BATCH .. (batch or '')
redis.call('HINCRBY', K.TOTALS, count, 1)
if batch then
  redis.call('HINCRBY', batch_key, count, 1)
  redis.call('HSET', batch_key, 'last_at', stamp)
end
local charged = 11 + 2 * tonumber(ARGV[9])
for i = 11, charged - 1, 2 do
  redis.call('HINCRBY', K.TOTALS, ARGV[i], ARGV[i + 1])
  if batch then
    redis.call('HINCRBY', batch_key, ARGV[i], ARGV[i + 1])
  end
end
local lines = {'#' .. count, 1}
for i = charged, #ARGV do
  lines[#lines + 1] = ARGV[i]
end
charge(job[4], job[6], lines, tonumber(ARGV[8]))
local seen = cjson.decode(ARGV[10])
if #seen.experience[1] > 0 then
  experience(unpack(seen.experience))
end
local work_s = now - tonumber(job[8] or stamp)
observe('job:work', work_s)
observe('job:total', now - tonumber(job[7] or stamp))
for stage, seconds in pairs(seen.took) do
  observe('stage:' .. stage, seconds)
end
for _, code in ipairs(seen.failed) do
  redis.call('HINCRBY', K.SEEN, 'failed|' .. code, 1)
end
local slowest = K.SLOWEST .. date(TODAY)
redis.call('ZADD', slowest, work_s, id)
redis.call('ZREMRANGEBYRANK', slowest, 0, -101)
redis.call('EXPIRE', slowest, 2 * 86400)
pump(home)
if batch then
  local counts = redis.call('HMGET', batch_key, 'submitted', 'done', 'failed', 'closed')
  local over = tonumber(counts[2] or '0') + tonumber(counts[3] or '0')
  if counts[4] and over >= tonumber(counts[1] or '0') then
    redis.call('ZADD', K.SUMMARIES, stamp, batch)
    return {1, batch, sent}
  end
end
return {1, '', sent}
