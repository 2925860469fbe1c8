-- What waits for a worker, and what a budget holds back. By the budgets as they stand at this moment:
-- while no worker is there, nobody says that a period has ended.
-- ARGV: home queues …
-- Returns, for each, jobs that a worker could begin and jobs that are held back.
local found = {}
for _, queue in ipairs(ARGV) do
  local ready, back, seen = tonumber(redis.call('HGET', K.BACKLOG, queue) or '0'), 0, {}
  if holds(tightest({'fleet'}), queue) then
    back = held_back('fleet', queue) + redis.call('ZCARD', K.QUEUED .. queue)
  else
    for _, id in ipairs(redis.call('HKEYS', K.BUDGETS)) do
      local owner = string.match(id, '^(.*)|')
      if not seen[owner] and holds(tightest({owner}), queue) then
        seen[owner] = true
        back = back + held_back(owner, queue)
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
  found[#found + 1] = ready
  found[#found + 1] = back
end
return found
