-- That a limit is expected to be passed is put down to be told, once for each budget, period and limit.
-- ARGV: what was foreseen (id), s that it is remembered, the event in JSON
-- Returns whether it was news.
if redis.call('SET', K.FORESEEN .. ARGV[1], stamp, 'NX', 'EX', ARGV[2]) then
  log_event(ARGV[3])
  return 1
end
return 0
