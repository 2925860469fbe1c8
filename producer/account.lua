-- A process says what it has cost since it began: a worker's main process its machine's time, any its
-- requests that no receipt holds.
-- ARGV: the process, then pairs line, nano-dollars in all: capacity (the machine's time), tree (the
--   CPU of all its processes), or a kind of request; `machine|what` is no money but milliseconds.
-- Returns 1. Totals, not increments: what was said twice counts once.
local key, requests, ran = K.ACCOUNTS .. ARGV[1], {}, {}
for i = 2, #ARGV, 2 do
  local line, total = ARGV[i], tonumber(ARGV[i + 1])
  local more = total - tonumber(redis.call('HGET', key, line) or '0')
  if more > 0 then
    redis.call('HSET', key, line, ARGV[i + 1])
    if line == 'capacity' or line == 'tree' then
      redis.call('HINCRBY', K.SPENT .. HOUR, '||' .. line, whole(more))
    elseif string.find(line, '|', 1, true) then
      ran[#ran + 1] = 'ran|' .. HOUR .. '|' .. line
      ran[#ran + 1] = more
    else
      requests[#requests + 1] = line
      requests[#requests + 1] = more
    end
    if line == 'capacity' then
      own('idle', more)
    end
  end
end
-- Longer than a process is out of reach and goes on: forgotten, it would be charged from nothing.
redis.call('EXPIRE', key, 40 * 86400)
if #ran > 0 then
  experience(ran)
end
charge('', '', requests, 0)
return 1
