-- What the ledger's scripts share. `K` (names of keys), ON_REDIS, DEPTH, CHUNK, TENANT_CAP and
-- MAX_BACKLOG stand above this text: producer/scripts.py writes them.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local stamp = clock[1] .. '.' .. string.format('%06d', clock[2])
local ENDS = {done = true, failed = true, quarantined = true, cancelled = true}
local PENDING = {waiting = true, queued = true, delayed = true}
local HISTORY_LINES = 20
-- Queue, message, queue, message …: what the caller has to send where queues are not in Redis.
local sent = {}

-- An attempt is over.
local function note(key, how, why)
  local job = redis.call('HMGET', key, 'fence', 'owner', 'began', 'history')
  local line = cjson.encode({fence = tonumber(job[1]), owner = job[2] or '',
    began = tonumber(job[3] or stamp), ended = now, how = how, why = why})
  local history = job[4]
  if history then
    local _, breaks = string.gsub(history, '\n', '')
    if breaks >= HISTORY_LINES - 1 then
      history = string.match(history, '^[^\n]*\n(.*)$')
    end
    line = history .. '\n' .. line
  end
  redis.call('HSET', key, 'history', line)
end

-- What an attempt did is thrown away.
local function waste(key)
  local began = tonumber(redis.call('HGET', key, 'began') or stamp)
  redis.call('HINCRBY', K.TOTALS, 'rework_ms', math.max(0, math.floor((now - began) * 1000)))
end

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
    sent[#sent + 1] = message
  end
end

-- Jobs that wait come onto the queue while it is short, one of each tenant in turn.
local function pump(queue)
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
    if TENANT_CAP == 0 or flying < TENANT_CAP then
      id = redis.call('RPOP', list)
    end
    if id then
      passed = 0
      -- A job that was cancelled or claimed meanwhile has left the list in all but name.
      if redis.call('HGET', K.JOB .. id, 'state') == 'waiting' then
        redis.call('HINCRBY', K.IN_FLIGHT, tenant, 1)
        put_on(id, K.JOB .. id, queue)
        room = room - 1
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
