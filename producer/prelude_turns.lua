-- How jobs come onto queues, wait for their turn, or for a budget.

-- The job's message goes onto a queue. Its tag must be new, or a broker that still holds an older
-- one would take the two for the same.
local function put_on(id, key, queue)
  local message = redis.call('HGET', key, 'message')
  local tag = id .. '.' .. redis.call('HINCRBY', key, 'sends', 1)
  local from, to = string.find(message, '@TAG@', 1, true)
  message = string.sub(message, 1, from - 1) .. tag .. string.sub(message, to + 1)
  redis.call('HSET', key, 'state', 'queued', 'on', queue)
  redis.call('ZADD', K.QUEUED .. queue, stamp, id)
  if ON_REDIS then
    redis.call('LPUSH', queue, message)
  else
    sent[#sent + 1] = queue
    sent[#sent + 1] = id
    sent[#sent + 1] = message
  end
end

-- A job that waits in no list and on no queue is kept until the budget lets it go on.
local function hold(id, key, owner)
  local place = owner .. '|' .. redis.call('HGET', key, 'queue')
  redis.call('HSET', key, 'state', 'held', 'held_in', place)
  redis.call('HDEL', key, 'lease_until')
  redis.call('ZADD', K.HELD .. place, stamp, id)
  redis.call('SADD', K.HOLDERS, place)
end

-- Jobs that wait come onto the queue while it is short, one of each tenant in turn.
local function pump(queue)
  if holds(tightest({'fleet'}), queue) then
    return
  end
  local turns, room = K.TURNS .. queue, DEPTH - redis.call('ZCARD', K.QUEUED .. queue)
  if room < CHUNK then
    return
  end
  local passed, tenants = 0, redis.call('LLEN', turns)
  while room > 0 and passed < tenants do
    local tenant = redis.call('RPOP', turns)
    if not tenant then
      return
    end
    local list, id = K.WAITING .. queue .. ':' .. tenant, false
    local flying = tonumber(redis.call('HGET', K.IN_FLIGHT, tenant) or '0')
    if (TENANT_CAP == 0 or flying < TENANT_CAP) and not holds(tightest({'tenant:' .. tenant}), queue)
    then
      id = redis.call('RPOP', list)
    end
    if id then
      passed = 0
      local key = K.JOB .. id
      local job = redis.call('HMGET', key, 'state', 'recipe')
      -- A job that was cancelled or claimed meanwhile has left the list in all but name.
      if job[1] == 'waiting' then
        room = room - 1
        if holds(tightest({'recipe:' .. job[2]}), queue) then
          redis.call('HINCRBY', K.BACKLOG, queue, -1)
          hold(id, key, 'recipe:' .. job[2])
        else
          redis.call('HINCRBY', K.IN_FLIGHT, tenant, 1)
          put_on(id, key, queue)
        end
      end
    else
      passed = passed + 1
    end
    if redis.call('EXISTS', list) == 1 then
      redis.call('LPUSH', turns, tenant)
    else
      tenants = tenants - 1
    end
  end
end

local function wait_for_turn(id, key, tenant, queue)
  local list = K.WAITING .. queue .. ':' .. tenant
  if redis.call('LPUSH', list, id) == 1 then
    redis.call('LPUSH', K.TURNS .. queue, tenant)
  end
  redis.call('HSET', key, 'state', 'waiting')
  redis.call('HINCRBY', K.BACKLOG, queue, 1)
  pump(queue)
end

-- A job that waits, in whatever way, is taken from where it does so.
local function withdraw(id, state, tenant, on)
  if state == 'waiting' then
    redis.call('HINCRBY', K.IN_FLIGHT, tenant, 1)
  elseif state == 'delayed' then
    redis.call('ZREM', K.DELAYED, id)
  elseif state == 'held' then
    local key = K.JOB .. id
    redis.call('ZREM', K.HELD .. redis.call('HGET', key, 'held_in'), id)
    redis.call('HDEL', key, 'held_in')
    redis.call('HINCRBY', K.IN_FLIGHT, tenant, 1)
    redis.call('HINCRBY', K.BACKLOG, redis.call('HGET', key, 'queue'), 1)
  elseif on then
    redis.call('ZREM', K.QUEUED .. on, id)
  end
end

-- A job in work is to be begun again, by whoever gets its message.
local function begin_again(id, key, queue)
  redis.call('ZREM', K.RUNNING, id)
  redis.call('HINCRBY', K.BACKLOG, redis.call('HGET', key, 'queue'), 1)
  put_on(id, key, queue)
end
