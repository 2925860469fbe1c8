-- Every budget as it stands; what has changed since it was last said is put down to be told.
-- ARGV: home queues …
-- Returns rows {owner|period, budget in JSON, nano-dollars spent, rung, since when, jobs of the owner
-- that are held, end of the period}.
local rows, seen = {}, {}
for _, id in ipairs(redis.call('HKEYS', K.BUDGETS)) do
  local owner = string.match(id, '^(.*)|')
  if not seen[owner] then
    seen[owner] = true
    announce(owner)
    local rung, held = tightest({owner}), 0
    for _, queue in ipairs(ARGV) do
      held = held + redis.call('ZCARD', K.HELD .. owner .. '|' .. queue)
      if holds(rung, queue) then
        held = held + held_back(owner, queue)
      end
    end
    for _, budget in ipairs(budgets_of(owner)) do
      rows[#rows + 1] = {budget.id, redis.call('HGET', K.BUDGETS, budget.id), whole(budget.spent),
        RUNGS[budget.rung], tostring(said_of(budget.id).since), held, budget.period[2]}
    end
  end
end
return rows
