-- Old hours of what was spent become days, old days months; no nano-dollar goes on the way.
-- ARGV: s that hours are kept for, s that days are kept for, sums after which it is enough
-- Returns how many hours and days were folded.
local folded, sums = 0, 0
for _, kept in ipairs({{13, tonumber(ARGV[1])}, {10, tonumber(ARGV[2])}}) do
  for _, bucket in ipairs(redis.call('ZRANGEBYSCORE', K.SPENT_LIST, '-inf', '(' .. now - kept[2])) do
    if #bucket == kept[1] and sums < tonumber(ARGV[3]) then
      local into = string.sub(bucket, 1, #bucket == 13 and 10 or 7)
      local start = redis.call('ZSCORE', K.SPENT_LIST, bucket)
      local fields = redis.call('HGETALL', K.SPENT .. bucket)
      for i = 1, #fields, 2 do
        redis.call('HINCRBY', K.SPENT .. into, fields[i], fields[i + 1])
      end
      redis.call('DEL', K.SPENT .. bucket)
      redis.call('ZREM', K.SPENT_LIST, bucket)
      local back = #bucket == 13 and string.sub(bucket, 12) * 3600
        or (string.sub(bucket, 9) - 1) * 86400
      redis.call('ZADD', K.SPENT_LIST, start - back, into)
      folded, sums = folded + 1, sums + #fields / 2
    end
  end
end
return folded
