-- Forget an entry; blobs that no entry uses any more are doomed.
-- KEYS: entry, lru, refs, sizes, totals, doomed        ARGV: id, now in s
-- Returns {1 when there was such an entry, bytes that are free now}.
local entry, lru, refs, sizes, totals, doomed = unpack(KEYS)
redis.call('ZREM', lru, ARGV[1])
local old = redis.call('HMGET', entry, 'meta', 'blobs')
if not old[1] then
  return {0, 0}
end
local bytes = string.len(old[1])
for _, sha in ipairs(cjson.decode(old[2])) do
  if redis.call('HINCRBY', refs, sha, -1) <= 0 then
    bytes = bytes + tonumber(redis.call('HGET', sizes, sha) or '0')
    redis.call('HDEL', refs, sha)
    redis.call('HDEL', sizes, sha)
    redis.call('ZADD', doomed, ARGV[2], sha)
  end
end
redis.call('DEL', entry)
redis.call('HINCRBY', totals, 'bytes', string.format('%.0f', -bytes))
return {1, bytes}
