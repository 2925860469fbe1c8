-- How budgets stand, and what people are told of it.

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
      local row, period = cjson.decode(text), periods()[names[i]]
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

-- An event that people are to be told of; what nobody ever fetches is not kept for ever.
local function log_event(row)
  redis.call('RPUSH', K.ALERTS, row)
  redis.call('LTRIM', K.ALERTS, -1000, -1)
  redis.call('LPUSH', K.BUDGET_LOG, row)
  redis.call('LTRIM', K.BUDGET_LOG, 0, 999)
end

-- Puts down what has happened to a budget.
local function tell(budget, kind, from, to)
  local limit = budget.row.limit
  log_event(cjson.encode({
    id = budget.id .. '|' .. budget.period[1] .. '|' .. stamp, at = now,
    owner = string.match(budget.id, '^(.*)|'), period = string.match(budget.id, '|(.*)$'),
    kind = kind, from = RUNGS[from], to = RUNGS[to],
    share = math.floor(budget.spent / limit * 10000 + 0.5) / 10000,
    spent_nano_usd = whole(budget.spent), limit_nano_usd = whole(limit),
    ends_at = budget.period[2]}))
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
