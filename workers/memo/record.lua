-- Remember an entry. Its blobs are counted by how many entries use them.
-- KEYS: entry, lru, refs, sizes, totals, doomed
-- ARGV: id, now in s, meta, cost in nano-dollars, cpu in microseconds, JSON of the blobs as pairs
--   of sha256 and size in bytes (-1: that of the blob as known)
-- Returns {1, bytes now kept}; {0, 0} when a blob it refers to is not known.
local entry, lru, refs, sizes, totals, doomed = unpack(KEYS)
local function number(value) return string.format('%.0f', value) end
local blobs = cjson.decode(ARGV[6])
for _, blob in ipairs(blobs) do
  if blob[2] < 0 then
    local size = redis.call('HGET', sizes, blob[1])
    if not size then
      return {0, 0}
    end
    blob[2] = tonumber(size)
  end
end
local bytes = string.len(ARGV[3])
-- The new ones first, so that a blob that old and new share never counts as free in between.
for _, blob in ipairs(blobs) do
  if redis.call('HINCRBY', refs, blob[1], 1) == 1 then
    redis.call('HSET', sizes, blob[1], number(blob[2]))
    bytes = bytes + blob[2]
  end
  redis.call('ZREM', doomed, blob[1])
end
local old = redis.call('HMGET', entry, 'meta', 'blobs')
if old[1] then
  bytes = bytes - string.len(old[1])
  for _, sha in ipairs(cjson.decode(old[2])) do
    if redis.call('HINCRBY', refs, sha, -1) <= 0 then
      bytes = bytes - tonumber(redis.call('HGET', sizes, sha) or '0')
      redis.call('HDEL', refs, sha)
      redis.call('HDEL', sizes, sha)
      redis.call('ZADD', doomed, ARGV[2], sha)
    end
  end
end
local shas = {}
for i, blob in ipairs(blobs) do shas[i] = blob[1] end
redis.call('HSET', entry, 'meta', ARGV[3], 'blobs', #shas == 0 and '[]' or cjson.encode(shas),
  'cost_nano_usd', ARGV[4], 'cpu_us', ARGV[5])
redis.call('ZADD', lru, ARGV[2], ARGV[1])
return {1, redis.call('HINCRBY', totals, 'bytes', number(bytes))}
