-- Which budget lets no such job begin now.
-- ARGV: tenant, recipe, queue
-- Returns it in JSON, or ''.
local owner = holder(ARGV[1], ARGV[2], ARGV[3])
if not owner then
  return ''
end
local _, budget = tightest({owner})
return shown(budget)
