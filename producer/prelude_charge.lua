-- What is spent, by whom and on what.

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
    redis.call('EXPIRE', key, periods().month[3])
  end
end

local function own(owner, nano)
  for _, period in pairs(nano ~= 0 and periods() or {}) do
    local key = K.OWNED .. period[1]
    if redis.call('HINCRBY', key, owner, whole(nano)) == nano and redis.call('TTL', key) < 0 then
      redis.call('EXPIRE', key, period[3])
    end
  end
  if nano ~= 0 and (owner == 'fleet' or owner == 'idle') then
    redis.call('HINCRBY', K.TOTALS, owner .. '_nano_usd', whole(nano))
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
