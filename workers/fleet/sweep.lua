-- Finds what was lost, and puts it on the queue again; a bounded number of jobs a time.
-- ARGV: jobs at most of each kind, queue for what goes on, s after which a job on an empty queue
--   counts as lost, s by which jobs behind it must have been taken for it to count as lost on any
--   other, s that a fanned-out job may stand still while its queue is not empty, s until a summary
--   is asked for again, 1 when leases count (0: Redis was away just now, and owners with it),
--   queues …
-- Returns {leases, parts, delayed, late, lost, released, batches to be summarized, messages to send}.
local most, onward = ARGV[1], ARGV[2]
local found = {leases = 0, parts = 0, delayed = 0, late = 0, lost = 0, released = 0}
local function due(name, till)
  return redis.call('ZRANGEBYSCORE', name, '-inf', till, 'LIMIT', 0, most)
end
local function lose(id, why)
  local key = K.JOB .. id
  note(key, 'lost', why)
  waste(key, false)
  redis.call('HDEL', key, 'lease_until', 'fanned_out')
  begin_again(id, key, onward)
end
local function empty(queue)
  return ON_REDIS and redis.call('LLEN', queue) == 0
end

for _, id in ipairs(ARGV[7] == '1' and due(K.RUNNING, stamp) or {}) do
  local job = redis.call('HMGET', K.JOB .. id, 'state', 'lease_until', 'fanned_out')
  if job[1] ~= 'running' then
    redis.call('ZREM', K.RUNNING, id)
  elseif job[3] and not empty(onward) and now - tonumber(job[2]) < tonumber(ARGV[5]) then
    -- Its members may still wait for a child; looked at again in a while.
    redis.call('ZADD', K.RUNNING, now + 10, id)
  else
    lose(id, job[3] and 'its members were lost' or 'its lease ran out')
    found.leases = found.leases + 1
  end
end

for _, member in ipairs(ARGV[7] == '1' and due(K.PARTS, stamp) or {}) do
  local id, fence = string.match(member, '^(.*)#(%d+)#[^#]*$')
  redis.call('ZREM', K.PARTS, member)
  local job = redis.call('HMGET', K.JOB .. id, 'state', 'fence')
  if job[1] == 'running' and job[2] == fence then
    lose(id, 'the worker of one of its members was lost')
    found.parts = found.parts + 1
  end
end

for _, id in ipairs(due(K.DELAYED, stamp)) do
  redis.call('ZREM', K.DELAYED, id)
  if redis.call('HGET', K.JOB .. id, 'state') == 'delayed' then
    put_on(id, K.JOB .. id, onward)
    found.delayed = found.delayed + 1
  end
end

for _, id in ipairs(due(K.DEADLINES, stamp)) do
  local job = redis.call('HMGET', K.JOB .. id, 'state', 'on', 'tenant')
  local state = job[1]
  if state == 'running' then -- it may end; if its worker is lost, it is late
    redis.call('ZADD', K.DEADLINES, now + 10, id)
  else
    redis.call('ZREM', K.DEADLINES, id)
    if PENDING[state] then
      withdraw(id, state, job[3], job[2])
      put_on(id, K.JOB .. id, onward)
      found.late = found.late + 1
    end
  end
end

for i = 8, #ARGV do
  local queue = ARGV[i]
  local till = tonumber(redis.call('HGET', K.FRONT, queue) or '0') - tonumber(ARGV[4])
  if empty(queue) then
    till = now - tonumber(ARGV[3])
  elseif not ON_REDIS then -- nobody knows whether it is empty
    till = math.max(till, now - 4 * tonumber(ARGV[4]))
  end
  for _, id in ipairs(due(K.QUEUED .. queue, till)) do
    redis.call('ZREM', K.QUEUED .. queue, id)
    if redis.call('HGET', K.JOB .. id, 'state') == 'queued' then
      put_on(id, K.JOB .. id, onward)
      found.lost = found.lost + 1
    end
  end
  pump(queue)
end

-- A budget changes without a charge, too: its period ends, or somebody sets it anew.
for _, id in ipairs(redis.call('HKEYS', K.BUDGETS)) do
  announce(string.match(id, '^(.*)|'))
end
for _, place in ipairs(redis.call('SMEMBERS', K.HOLDERS)) do
  local owner, queue = string.match(place, '^(.*)|(.*)$')
  if not holds(tightest({owner}), queue) then
    for _, id in ipairs(redis.call('ZRANGE', K.HELD .. place, 0, 10 * most - 1)) do
      redis.call('ZREM', K.HELD .. place, id)
      redis.call('HDEL', K.JOB .. id, 'held_in')
      wait_for_turn(id, K.JOB .. id, redis.call('HGET', K.JOB .. id, 'tenant'), queue)
      found.released = found.released + 1
    end
    if redis.call('EXISTS', K.HELD .. place) == 0 then
      redis.call('SREM', K.HOLDERS, place)
    end
  end
end

local batches = {}
for _, batch in ipairs(due(K.SUMMARIES, now - tonumber(ARGV[6]))) do
  redis.call('ZADD', K.SUMMARIES, stamp, batch)
  batches[#batches + 1] = batch
end
redis.call('ZREMRANGEBYSCORE', K.WORKERS, '-inf', now - 3600)
return {found.leases, found.parts, found.delayed, found.late, found.lost, found.released, batches,
  sent}
