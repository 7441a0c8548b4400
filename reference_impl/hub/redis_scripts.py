"""What Redis does in one step: entering and leaving a turn, staying alive.

Keys, all below one prefix:
- `user:ID`: a hash: who has the turn, until when, its fence, the number of the last entry, the size of the log;
- `user:ID:waiting`: nodes, first come, first served;
- `user:ID:log`: the last 256 entries, 8 MiB at most, for a minute;
- `user:ID:nodes`: who follows;
- `user:ID:seats`: agent → seat;
- `nodes`: node → until when it lives;
- `node:ID:users`: whom the node follows or has a turn with.

A node hears what is published on `node:ID`. Times are milliseconds of Redis' own clock, so that
the clocks of nodes need not agree.
"""

from typing import Final

_BEGIN: Final = """
local prefix, node = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
"""

_USER: Final = """
local user = ARGV[3]
local turn = prefix .. 'user:' .. user
local function tell(by, words, others_only)
  local followers = redis.call('SMEMBERS', turn .. ':nodes')
  local others = {}
  for _, follower in ipairs(followers) do
    if follower ~= node or not others_only then others[#others + 1] = follower end
  end
  if #others == 0 then return end
  local number = redis.call('HINCRBY', turn, 'number', 1)
  local entry = '[' .. number .. ',"' .. by .. '",' .. words .. ']'
  local count, size = redis.call('RPUSH', turn .. ':log', entry), #entry
  if count > 1 then size = redis.call('HINCRBY', turn, 'size', size) end
  while count > 1 and (count > 256 or size > 8388608) do
    size, count = size - #redis.call('LPOP', turn .. ':log'), count - 1
  end
  redis.call('HSET', turn, 'size', whole(size))
  redis.call('PEXPIRE', turn .. ':log', 60000)
  for _, follower in ipairs(others) do
    redis.call('PUBLISH', prefix .. 'node:' .. follower, '["entry",' .. cjson.encode(user) .. ',' .. entry .. ']')
  end
end
"""

ENTER: Final = (
    _BEGIN
    + _USER
    + """
-- prefix node user lease seen: {0, milliseconds to wait} or {1, fence, number, complete, entries or seats...}
local lease, seen = tonumber(ARGV[4]), tonumber(ARGV[5])
local state = redis.call('HMGET', turn, 'fence', 'held', 'until', 'next', 'next_until', 'number')
local held, ends = state[2] == '1', tonumber(state[3] or '0')
local promised = state[4] and state[4] ~= node and tonumber(state[5]) > now
if (held and ends > now) or promised then
  if not redis.call('LPOS', turn .. ':waiting', node) then redis.call('RPUSH', turn .. ':waiting', node) end
  return {0, promised and 20 or math.min(math.max(ends - now, 1), 200)}
end
redis.call('LREM', turn .. ':waiting', 0, node)
redis.call('HDEL', turn, 'next', 'next_until')
redis.call('SADD', prefix .. 'node:' .. node .. ':users', user) -- if the node dies within the turn, they are looked at
local fence = math.max(tonumber(state[1] or '0') + 1, time[1] * 1000000 + time[2])
redis.call('HSET', turn, 'fence', whole(fence), 'held', '1', 'until', whole(now + lease))
if held then tell('', '[["over"]]', false) end -- whoever had the turn never ended it: what it changed was not told
local number = tonumber(redis.call('HGET', turn, 'number') or '0')
local missing = number - seen
if seen >= 0 and missing == 0 then return {1, whole(fence), whole(number), 1} end
if seen >= 0 and missing > 0 and redis.call('LLEN', turn .. ':log') >= missing then
  return {1, whole(fence), whole(number), 1, unpack(redis.call('LRANGE', turn .. ':log', -missing, -1))}
end
return {1, whole(fence), whole(number), 0, redis.call('HGETALL', turn .. ':seats')}
"""
)

RENEW: Final = (
    _BEGIN
    + _USER
    + """
-- prefix node user lease fence
if redis.call('HGET', turn, 'fence') == ARGV[5] and redis.call('HGET', turn, 'held') == '1' then
  redis.call('HSET', turn, 'until', whole(now + tonumber(ARGV[4])))
end
"""
)

LEAVE: Final = (
    _BEGIN
    + _USER
    + """
-- prefix node user fence follow words (agent seat)...: -1 if the turn was lost, else the number of the last entry
local state = redis.call('HMGET', turn, 'fence', 'held')
if state[1] ~= ARGV[4] or state[2] ~= '1' then return -1 end
for i = 7, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', turn .. ':seats', ARGV[i])
  else
    redis.call('HSET', turn .. ':seats', ARGV[i], ARGV[i + 1])
  end
end
if ARGV[5] == '1' then
  redis.call('SADD', turn .. ':nodes', node)
else
  redis.call('SREM', turn .. ':nodes', node)
  redis.call('SREM', prefix .. 'node:' .. node .. ':users', user)
end
if ARGV[6] ~= '[]' then tell(node, ARGV[6], true) end
redis.call('HDEL', turn, 'held', 'until')
local waiting = redis.call('LPOP', turn .. ':waiting')
while waiting do
  if redis.call('PUBLISH', prefix .. 'node:' .. waiting, '["freed",' .. cjson.encode(user) .. ']') > 0 then
    redis.call('HSET', turn, 'next', waiting, 'next_until', whole(now + 200))
    break
  end
  waiting = redis.call('LPOP', turn .. ':waiting')
end
return tonumber(redis.call('HGET', turn, 'number') or '0')
"""
)

JOIN: Final = (
    _BEGIN
    + """
-- prefix node lease: how many other nodes live
local name = node:match('^(.*)#') .. '#'
for _, former in ipairs(redis.call('ZRANGE', prefix .. 'nodes', 0, -1)) do
  if former:sub(1, #name) == name then redis.call('ZADD', prefix .. 'nodes', 0, former) end
end
local others = redis.call('ZCOUNT', prefix .. 'nodes', whole(now), '+inf')
redis.call('ZADD', prefix .. 'nodes', whole(now + tonumber(ARGV[3])), node)
return others
"""
)

KEEP: Final = (
    _BEGIN
    + """
-- prefix node lease: 1, or 0 if its time was over
local ends = redis.call('ZSCORE', prefix .. 'nodes', node)
if not ends or tonumber(ends) < now then return 0 end
redis.call('ZADD', prefix .. 'nodes', whole(now + tonumber(ARGV[3])), node)
return 1
"""
)

DEAD: Final = (
    _BEGIN
    + """
-- prefix node lease: the nodes whose time is over and that nobody else is burying
local mine = {}
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'nodes', '-inf', '(' .. whole(now))) do
  local grave = prefix .. 'node:' .. gone .. ':burying'
  if redis.call('SET', grave, node, 'NX', 'PX', whole(10 * tonumber(ARGV[3]))) or redis.call('GET', grave) == node then
    mine[#mine + 1] = gone
  end
end
return mine
"""
)

FORGET: Final = (
    _BEGIN
    + """
-- prefix node gone
local users = prefix .. 'node:' .. ARGV[3] .. ':users'
for _, user in ipairs(redis.call('SMEMBERS', users)) do
  redis.call('SREM', prefix .. 'user:' .. user .. ':nodes', ARGV[3])
end
redis.call('DEL', users, prefix .. 'node:' .. ARGV[3] .. ':burying')
redis.call('ZREM', prefix .. 'nodes', ARGV[3])
"""
)
