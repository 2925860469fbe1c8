-- What the ledger's scripts share. `K` (names of keys), ON_REDIS, DEPTH, CHUNK, TENANT_CAP and
-- MAX_BACKLOG stand above this text: producer/scripts.py writes them.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local stamp = clock[1] .. '.' .. string.format('%06d', clock[2])
local ENDS = {done = true, failed = true, quarantined = true, cancelled = true}
local PENDING = {waiting = true, queued = true, delayed = true}
local HISTORY_LINES = 20
-- Queue, id, message, queue …: what the caller has to send where queues are not in Redis.
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

-- What an attempt did until its last sign of life, or until now, is thrown away; the answer is in ms.
local function waste(key, until_now)
  local times = redis.call('HMGET', key, 'began', 'seen')
  local began, seen = tonumber(times[1] or stamp), tonumber(times[2] or stamp)
  local ms = math.max(0, math.floor(((until_now and now or seen) - began) * 1000))
  redis.call('HINCRBY', K.TOTALS, 'rework_ms', ms)
  return ms
end

-- The UTC day of Redis' clock, YYYY-MM-DD: a worker's may be wrong.
-- Source: H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
local function today()
  local z = math.floor(now / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
    - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  return string.format('%04d-%02d-%02d', yoe + era * 400 + (month <= 2 and 1 or 0), month, day)
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
    sent[#sent + 1] = id
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
