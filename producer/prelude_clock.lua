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

-- By Redis' clock, for a worker's may be wrong.
local TODAY = math.floor(now / 86400)
local HOUR = date(TODAY) .. string.format('T%02d', math.floor(now % 86400 / 3600))

-- The periods of UTC that it is in: name, end, and for how many seconds its sums are kept.
local known
local function periods()
  if known then
    return known
  end
  local year, month, day = civil(TODAY)
  local monday = TODAY - (TODAY + 3) % 7
  local _, _, over = civil(TODAY - day + 32) -- 32 days after the last of the month before
  known = {
    hour = {'hour:' .. HOUR, (math.floor(now / 3600) + 1) * 3600, 36 * 86400},
    day = {'day:' .. date(TODAY), (TODAY + 1) * 86400, 40 * 86400},
    week = {'week:' .. date(monday), (monday + 7) * 86400, 60 * 86400},
    month = {string.format('month:%04d-%02d', year, month), (TODAY - day + 33 - over) * 86400,
      400 * 86400},
    minute = {'minute:' .. HOUR .. string.format(':%02d', math.floor(now % 3600 / 60)), 0, 7200},
  }
  return known
end

-- A number as HINCRBY takes it: Redis would write a large one as 1e+11.
local function whole(number)
  return string.format('%.0f', number)
end
