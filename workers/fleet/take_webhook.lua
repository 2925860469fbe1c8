-- A worker calls a job's webhook, unless that is over or another worker is at it.
-- ARGV: id, s that a call may take. Returns {url, fence, tries, state, batch, ended_at} or {}.
local id, key = ARGV[1], K.JOB .. ARGV[1]
local job = redis.call('HMGET', key, 'webhook', 'fence', 'webhook_tries', 'state', 'batch',
  'ended_at', 'webhook_called')
if not redis.call('ZSCORE', K.WEBHOOKS, id) then
  return {}
end
if not job[1] or not ENDS[job[4]] then -- purged, or begun again: then its next end is told
  redis.call('ZREM', K.WEBHOOKS, id)
  return {}
end
if now < tonumber(job[7] or '0') + tonumber(ARGV[2]) then
  return {}
end
redis.call('HSET', key, 'webhook_called', stamp)
return {job[1], job[2], tonumber(job[3] or '0'), job[4], job[5] or '', job[6]}
