-- What is remembered of how long things took: histograms, for percentiles of any time.

-- Buckets grow by the square root of 2, bucket n up to 2^(n/2) ms; workers/monitor/histogram.py reads
-- them.
local LAST_BUCKET = 42
local function observe(name, seconds)
  local ms = math.max(0, seconds * 1000)
  -- Less a hair, or a bound would by rounding fall into the bucket above it.
  local bucket = ms <= 1 and 0 or math.min(LAST_BUCKET, math.ceil(2 * math.log(ms) / math.log(2) - 1e-9))
  redis.call('HINCRBY', K.SEEN, 'took|' .. name .. '|' .. bucket, 1)
  redis.call('HINCRBY', K.SEEN, 'took|' .. name .. '|us', whole(ms * 1000))
end
