-- Every budget as it stands; what has changed since it was last said is put down to be told.
-- Returns rows {owner|period, budget in JSON, nano-dollars spent, rung, end of the period}.
local rows, seen = {}, {}
for _, id in ipairs(redis.call('HKEYS', K.BUDGETS)) do
  local owner = string.match(id, '^(.*)|')
  if not seen[owner] then
    seen[owner] = true
    announce(owner)
    for _, budget in ipairs(budgets_of(owner)) do
      rows[#rows + 1] = {budget.id, redis.call('HGET', K.BUDGETS, budget.id), whole(budget.spent),
        RUNGS[budget.rung], budget.period[2]}
    end
  end
end
return rows
