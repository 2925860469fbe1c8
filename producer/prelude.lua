-- What the ledger's scripts share. `K` (names of keys), ON_REDIS, DEPTH, CHUNK, TENANT_CAP,
-- MAX_BACKLOG and INTERACTIVE stand above this text: producer/scripts.py writes them.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local stamp = clock[1] .. '.' .. string.format('%06d', clock[2])
local ENDS = {done = true, failed = true, quarantined = true, cancelled = true}
local PENDING = {waiting = true, queued = true, delayed = true, held = true}
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

-- Year, month and day of a number of days since 1970.
-- Source: H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
local function civil(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
    - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - math.floor((153 * mp + 2) / 5) + 1
end

local function date(days)
  return string.format('%04d-%02d-%02d', civil(days))
end

-- The periods of UTC that it is in by Redis' clock, for a worker's may be wrong: name, end, and for
-- how many seconds its sums are kept.
local TODAY = math.floor(now / 86400)
local HOUR = date(TODAY) .. string.format('T%02d', math.floor(now % 86400 / 3600))
local PERIODS
do
  local year, month, day = civil(TODAY)
  local monday = TODAY - (TODAY + 3) % 7
  local _, _, over = civil(TODAY - day + 32) -- 32 days after the last of the month before
  PERIODS = {
    hour = {'hour:' .. HOUR, (math.floor(now / 3600) + 1) * 3600, 36 * 86400},
    day = {'day:' .. date(TODAY), (TODAY + 1) * 86400, 40 * 86400},
    week = {'week:' .. date(monday), (monday + 7) * 86400, 60 * 86400},
    month = {string.format('month:%04d-%02d', year, month), (TODAY - day + 33 - over) * 86400,
      400 * 86400},
    minute = {'minute:' .. HOUR .. string.format(':%02d', math.floor(now % 3600 / 60)), 0, 7200},
  }
end
-- A number as HINCRBY takes it: Redis would write a large one as 1e+11.
local function whole(number)
  return string.format('%.0f', number)
end

local RUNGS = {[0] = 'normal', 'thrifty', 'essential', 'closed'}

-- Every budget of an owner as it stands: id, row, spent, rung, period.
local judged = {}
local any_budget = redis.call('EXISTS', K.BUDGETS) == 1
local function budgets_of(owner)
  if not any_budget then
    return {}
  end
  if judged[owner] then
    return judged[owner]
  end
  local found = {}
  local names = {'hour', 'day', 'week', 'month'}
  local fields = {}
  for i, name in ipairs(names) do
    fields[i] = owner .. '|' .. name
  end
  for i, text in ipairs(redis.call('HMGET', K.BUDGETS, unpack(fields))) do
    if text then
      local row, period = cjson.decode(text), PERIODS[names[i]]
      local spent = tonumber(redis.call('HGET', K.OWNED .. period[1], owner) or '0')
      if row.idle then
        spent = spent + tonumber(redis.call('HGET', K.OWNED .. period[1], 'idle') or '0')
      end
      local rung = 0
      for level = 1, 3 do
        if row.rungs[level] ~= cjson.null and spent >= row.rungs[level] then
          rung = level
        end
      end
      found[#found + 1] = {id = fields[i], row = row, spent = spent, rung = rung, period = period}
    end
  end
  judged[owner] = found
  return found
end

-- The tightest of some owners' budgets: its rung, and the budget; of several the one that lasts.
local function tightest(owners)
  local rung, worst = 0, nil
  for _, owner in ipairs(owners) do
    for _, budget in ipairs(budgets_of(owner)) do
      if budget.rung > rung
        or worst and budget.rung == rung and budget.period[2] > worst.period[2]
      then
        rung, worst = budget.rung, budget
      end
    end
  end
  return rung, worst
end

-- A budget as producers are told of it.
local function shown(budget)
  return cjson.encode({id = budget.id, rung = RUNGS[budget.rung],
    spent_nano_usd = whole(budget.spent), limit_nano_usd = whole(budget.row.limit),
    ends_at = budget.period[2]})
end

local function holds(rung, queue)
  return rung == 3 or rung == 2 and queue ~= INTERACTIVE
end

-- The owner whose budget holds a job back now, or nil; and the tightest rung that lets it run.
local function holder(tenant, recipe, queue)
  local owners, rung = {'fleet', 'tenant:' .. tenant, 'recipe:' .. recipe}, 0
  for _, owner in ipairs(owners) do
    local own_rung = tightest({owner})
    if holds(own_rung, queue) then
      return owner, own_rung
    end
    rung = math.max(rung, own_rung)
  end
  return nil, rung
end

-- Puts down what people are to be told of a budget; what nobody ever fetches is not kept for ever.
local function tell(budget, kind, from, to)
  local limit = budget.row.limit
  redis.call('RPUSH', K.ALERTS, cjson.encode({
    id = budget.id .. '|' .. budget.period[1] .. '|' .. stamp, at = now,
    owner = string.match(budget.id, '^(.*)|'), period = string.match(budget.id, '|(.*)$'),
    kind = kind, from = RUNGS[from], to = RUNGS[to],
    share = math.floor(budget.spent / limit * 10000 + 0.5) / 10000,
    spent_nano_usd = whole(budget.spent), limit_nano_usd = whole(limit),
    ends_at = budget.period[2]}))
  redis.call('LTRIM', K.ALERTS, -1000, -1)
end

local function said_of(id)
  return cjson.decode(redis.call('HGET', K.RUNGS, id) or '{"period": "", "rung": 0, "alerts": 0}')
end

-- How many jobs an owner's budget keeps from their turn, where it holds them.
local function held_back(owner, queue)
  local tenants, count = {string.match(owner, '^tenant:(.*)$')}, 0
  if owner == 'fleet' then
    tenants = redis.call('LRANGE', K.TURNS .. queue, 0, -1)
  end
  for _, tenant in ipairs(tenants) do
    count = count + redis.call('LLEN', K.WAITING .. queue .. ':' .. tenant)
  end
  return count
end

-- What has changed at an owner's budgets since it was last said is put down to be told, once.
local function announce(owner)
  judged[owner] = nil
  for _, budget in ipairs(budgets_of(owner)) do
    local said, name = said_of(budget.id), budget.period[1]
    local passed, alerts = 0, said.period == name and said.alerts or 0
    for _, threshold in ipairs(budget.row.alerts) do
      passed = passed + (budget.spent >= threshold and 1 or 0)
    end
    local kind = budget.rung ~= said.rung and 'rung' or passed > alerts and 'alert'
    if kind then
      tell(budget, kind, said.rung, budget.rung)
    end
    if kind or passed ~= said.alerts or said.period ~= name then
      local since = budget.rung == said.rung and said.since or now
      redis.call('HSET', K.RUNGS, budget.id,
        cjson.encode({period = name, rung = budget.rung, since = since, alerts = passed}))
    end
  end
end

-- What advice is drawn from: pairs of field and number, which are added up, and the field of a peak.
local function experience(pairs_, peak, bytes)
  local key = K.EXPERIENCE .. string.sub(HOUR, 1, 7)
  for i = 1, #pairs_, 2 do
    redis.call('HINCRBY', key, pairs_[i], whole(pairs_[i + 1]))
  end
  if peak and bytes > tonumber(redis.call('HGET', key, peak) or '0') then
    redis.call('HSET', key, peak, whole(bytes))
  end
  if redis.call('TTL', key) < 0 then
    redis.call('EXPIRE', key, PERIODS.month[3])
  end
end

local function own(owner, nano)
  for _, period in pairs(nano ~= 0 and PERIODS or {}) do
    local key = K.OWNED .. period[1]
    if redis.call('HINCRBY', key, owner, whole(nano)) == nano and redis.call('TTL', key) < 0 then
      redis.call('EXPIRE', key, period[3])
    end
  end
end

-- Adds to what was spent, and says what that means for budgets.
-- pairs: line, nano-dollars or, with # before the line, a count of something else; `machine` of the
-- nano-dollars are for time of machines, which is charged already as idle.
local function charge(tenant, recipe, pairs_, machine)
  local key, total = K.SPENT .. HOUR, 0
  for i = 1, #pairs_, 2 do
    local line, amount = pairs_[i], tonumber(pairs_[i + 1])
    if amount ~= 0 then
      redis.call('HINCRBY', key, tenant .. '|' .. recipe .. '|' .. line, whole(amount))
      if string.sub(line, 1, 1) ~= '#' then
        total = total + amount
      end
    end
  end
  redis.call('ZADD', K.SPENT_LIST, math.floor(now / 3600) * 3600, HOUR)
  own('fleet', total)
  own('idle', -machine)
  announce('fleet')
  if tenant ~= '' then
    own('tenant:' .. tenant, total)
    own('recipe:' .. recipe, total)
    announce('tenant:' .. tenant)
    announce('recipe:' .. recipe)
  end
end

-- Work of a job that is thrown away; a child is given a core, so its time is a core's.
local function waste_ms(key, ms)
  local job = redis.call('HMGET', key, 'core_nano', 'tenant', 'recipe')
  if ms > 0 and job[2] then
    local nano = math.floor(ms * tonumber(job[1] or '0') / 1000)
    redis.call('HINCRBY', K.TOTALS, 'rework_ms', whole(ms))
    redis.call('HINCRBY', K.TOTALS, 'rework_nano_usd', whole(nano))
    charge(job[2], job[3], {'rework', nano, '#rework_ms', ms}, nano)
  end
end

-- What an attempt did until its last sign of life, or until now; the answer is in ms.
local function waste(key, until_now)
  local times = redis.call('HMGET', key, 'began', 'seen')
  local began, seen = tonumber(times[1] or stamp), tonumber(times[2] or stamp)
  local ms = math.max(0, math.floor(((until_now and now or seen) - began) * 1000))
  waste_ms(key, ms)
  return ms
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
