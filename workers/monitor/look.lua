-- The fleet at this moment, by Redis' clock: what waits for a worker and since when, what a budget holds
-- back, who is there. By the budgets as they stand now: while no worker is there, nobody says that a
-- period has ended.
-- ARGV: s after which a silent worker is gone, how many queues are homes, the home queues …, the others …
-- Returns {now, jobs in work, {workers that work, at risk, draining, nano-dollars that all cost in an
-- hour}, of each home jobs that a worker could begin and jobs that are held back …, of each queue the s
-- since its oldest job that could begin was submitted …}.
local crew = {working = 0, ['at risk'] = 0, draining = 0}
local hour_nano = 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', K.WORKERS, now - tonumber(ARGV[1]), '+inf')) do
  local said = redis.call('HMGET', K.WORKER .. name, 'state', 'hour_nano_usd')
  local state = redis.call('EXISTS', K.DRAIN .. name) == 1 and 'draining' or said[1] or 'working'
  crew[state] = (crew[state] or 0) + 1
  hour_nano = hour_nano + tonumber(said[2] or '0')
end
local homes, queues, waiting, ages = {}, {}, {}, {}
for i = 3, #ARGV do
  queues[#queues + 1] = ARGV[i]
  if i - 2 <= tonumber(ARGV[2]) then
    homes[#homes + 1] = ARGV[i]
  end
end
local function age(id)
  local submitted = id and redis.call('HGET', K.JOB .. id, 'submitted_at')
  return submitted and math.max(0, now - tonumber(submitted)) or 0
end
for _, queue in ipairs(queues) do
  ages[queue] = age(redis.call('ZRANGE', K.QUEUED .. queue, 0, 0)[1])
end
for _, queue in ipairs(homes) do
  local ready, back, seen = tonumber(redis.call('HGET', K.BACKLOG, queue) or '0'), 0, {}
  if holds(tightest({'fleet'}), queue) then
    back = held_back('fleet', queue) + redis.call('ZCARD', K.QUEUED .. queue)
    ages[queue] = 0
  else
    for _, id in ipairs(redis.call('HKEYS', K.BUDGETS)) do
      local owner = string.match(id, '^(.*)|')
      if not seen[owner] and holds(tightest({owner}), queue) then
        seen[owner] = true
        back = back + held_back(owner, queue)
      end
    end
    for _, tenant in ipairs(redis.call('LRANGE', K.TURNS .. queue, 0, 999)) do
      if not seen['tenant:' .. tenant] then
        local oldest = redis.call('LINDEX', K.WAITING .. queue .. ':' .. tenant, -1)
        ages[queue] = math.max(ages[queue], age(oldest))
      end
    end
  end
  ready = math.max(0, ready - back)
  for _, place in ipairs(redis.call('SMEMBERS', K.HOLDERS)) do
    local owner, home = string.match(place, '^(.*)|(.*)$')
    local count = redis.call('ZCARD', K.HELD .. place)
    if home == queue and holds(tightest({owner}), queue) then
      back = back + count
    elseif home == queue then
      ready = ready + count
    end
  end
  waiting[#waiting + 1] = ready
  waiting[#waiting + 1] = back
end
for i, queue in ipairs(queues) do
  ages[i] = string.format('%.3f', ages[queue])
end
return {stamp, redis.call('ZCARD', K.RUNNING),
  {crew.working, crew['at risk'], crew.draining, whole(hour_nano)}, waiting, {unpack(ages)}}
