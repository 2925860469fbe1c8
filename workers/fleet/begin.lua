-- A library is about to run: an encoder on one cut, or what comes before the cuts.
-- KEYS: the job's trials
-- ARGV: variant (or .step), format (or .step), owner, px, time limit in s, deaths allowed, ttl in s
-- Returns {deaths, limit in s that was overrun or 0}: both 0 where the attempt may begin.
local now = tonumber(redis.call('TIME')[1])
local format, px = ARGV[2], tonumber(ARGV[4])
local open = redis.call('HGET', KEYS[1], 'open:' .. ARGV[1])
if open then -- its worker went too, so that nobody saw the end
  local lost, lost_px = string.match(open, '^(%S+) (%d+) ')
  -- Machines die of other things than decoders, and a job ends by a step, not by an encoder alone.
  if string.sub(lost, 1, 1) ~= '.' then
    redis.call('HINCRBY', KEYS[1], 'deaths:' .. lost, 1)
    local least = tonumber(redis.call('HGET', KEYS[1], 'least:' .. lost) or lost_px)
    redis.call('HSET', KEYS[1], 'least:' .. lost, math.min(least, tonumber(lost_px)))
  end
  redis.call('HDEL', KEYS[1], 'open:' .. ARGV[1])
end
local known = redis.call('HMGET', KEYS[1], 'deaths:' .. format, 'overrun:' .. format, 'least:' .. format)
if known[3] and px >= tonumber(known[3]) then
  local deaths, overrun = tonumber(known[1] or '0'), tonumber(known[2] or '0')
  if overrun > 0 or deaths >= tonumber(ARGV[6]) then
    return {deaths, overrun}
  end
end
local till = now + tonumber(ARGV[5])
redis.call('HSET', KEYS[1], 'open:' .. ARGV[1],
  format .. ' ' .. px .. ' ' .. ARGV[5] .. ' ' .. till .. ' ' .. ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[7])
return {0, 0}
