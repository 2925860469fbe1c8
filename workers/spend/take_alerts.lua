-- Events that nobody was told of are put down for each channel, in one step: none is lost with who
-- takes them.
-- ARGV: events at most, s that they are kept for a channel that nobody serves, channels …
-- Returns how many wait for each channel.
local events = redis.call('LRANGE', K.ALERTS, 0, ARGV[1] - 1)
local waiting = {}
for i = 3, #ARGV do
  local list = K.ALERTS_FOR .. ARGV[i]
  for _, event in ipairs(events) do
    redis.call('RPUSH', list, stamp .. ' ' .. event)
    redis.call('EXPIRE', list, ARGV[2])
  end
  waiting[#waiting + 1] = redis.call('LLEN', list)
end
redis.call('LTRIM', K.ALERTS, #events, -1)
return waiting
