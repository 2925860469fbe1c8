-- Budgets are taken away; that what one had closed is open again is put down to be told.
-- ARGV: owner|period …
-- Returns those that there were.
local gone = {}
for _, id in ipairs(ARGV) do
  for _, budget in ipairs(budgets_of(string.match(id, '^(.*)|'))) do
    local rung = said_of(id).rung
    if budget.id == id and rung > 0 then
      tell(budget, 'rung', rung, 0)
    end
  end
  if redis.call('HDEL', K.BUDGETS, id) == 1 then
    redis.call('HDEL', K.RUNGS, id)
    gone[#gone + 1] = id
  end
end
return gone
