-- A process ended in the middle of a job: what it had begun counts as lost.
-- KEYS: the job's trials. ARGV: the process, as the ledger names it; 1 when a signal ended it,
-- which the watchdog does not do.
-- Returns how many attempts were open (0 or 1).
local now = tonumber(redis.call('TIME')[1])
local fields = redis.call('HGETALL', KEYS[1])
local count = 0
for i = 1, #fields, 2 do
  local format, px, limit, till, owner =
    string.match(fields[i + 1], '^(%S+) (%d+) (%d+) (%d+) (%S+)$')
  if owner == ARGV[1] and string.sub(fields[i], 1, 5) == 'open:' then
    count = count + 1
    redis.call('HDEL', KEYS[1], fields[i])
    redis.call('HINCRBY', KEYS[1], 'deaths:' .. format, 1)
    if ARGV[2] ~= '1' and now >= tonumber(till) then
      redis.call('HSET', KEYS[1], 'overrun:' .. format, limit)
    end
    local least = tonumber(redis.call('HGET', KEYS[1], 'least:' .. format) or px)
    redis.call('HSET', KEYS[1], 'least:' .. format, math.min(least, tonumber(px)))
  end
end
return count
