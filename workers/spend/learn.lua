-- One more observation of an encoder's effort, into running means that forget slowly.
-- KEYS: efforts. ARGV: most observations that count, then pairs of a field and what was observed.
for at = 2, #ARGV, 2 do
  local field, seen = ARGV[at], tonumber(ARGV[at + 1])
  local count = tonumber(redis.call('HGET', KEYS[1], field .. ':n') or '0')
  local mean = tonumber(redis.call('HGET', KEYS[1], field) or '0')
  count = math.min(count + 1, tonumber(ARGV[1]))
  redis.call('HSET', KEYS[1], field, string.format('%.6g', mean + (seen - mean) / count),
    field .. ':n', count)
end
return 1
