-- A store of leases: the rules of lease/book.rs, in one transaction. See lease/store.rs.
-- KEYS: the store, its nodes, what is wanted; then one for each line. ARGV[1]: what to do. Amounts are in thousands of
-- nano-dollars, so that they are exact in Lua's numbers; what was spent is a text that is only kept.
local STORE, NODES, WANTED = KEYS[1], KEYS[2], KEYS[3]
local op, node = ARGV[1], ARGV[2]
local SETTLE, ALIVE, WANT, LINES, PART = 1000, 1000, 2000, 256, 4
local NODE_DAYS = 40 * 86400000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function text(n) return string.format('%.0f', n) end

-- A node: epoch, number, when it was heard of, whether it owes a declaration, its name.
local function read_node(packed)
  if not packed then return nil end
  local e, s, h, o, n = string.match(packed, '^(%S+) (%S+) (%S+) (%S+) (.*)$')
  return { epoch = tonumber(e), seq = tonumber(s), heard = tonumber(h), owes = o == '1', name = n }
end
local function known(id) return read_node(redis.call('HGET', NODES, id)) end
local function keep(id, k)
  local owes = '0'
  if k.owes then owes = '1' end
  redis.call('HSET', NODES, id, text(k.epoch) .. ' ' .. text(k.seq) .. ' ' .. text(k.heard) .. ' ' .. owes .. ' ' .. k.name)
end
local function all_nodes()
  local flat, all = redis.call('HGETALL', NODES), {}
  for i = 1, #flat, 2 do all[flat[i]] = read_node(flat[i + 1]) end
  return all
end

-- What a node has of a window: its total, what it has spent, the round it has answered for.
local function read_held(packed)
  if not packed then return { total = 0, spent = '0', answered = 0 } end
  local t, s, a = string.match(packed, '^(%S+) (%S+) (%S+)$')
  return { total = tonumber(t), spent = s, answered = tonumber(a) }
end
-- A window: what its nodes have; its latest round, and when that was opened.
local function read_window(key)
  local flat, window = redis.call('HGETALL', key), { nodes = {}, round = 0, opened = 0, leased = 0 }
  for i = 1, #flat, 2 do
    if flat[i] == '#' then
      local r, o = string.match(flat[i + 1], '^(%S+) (%S+)$')
      window.round, window.opened = tonumber(r), tonumber(o)
    else
      local held = read_held(flat[i + 1])
      window.nodes[flat[i]] = held
      window.leased = window.leased + held.total
    end
  end
  return window
end
local function keep_held(key, id, held)
  redis.call('HSET', key, id, text(held.total) .. ' ' .. held.spent .. ' ' .. text(held.answered))
end

-- The next generation begins when another server answers.
local function turn()
  local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local replication = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or ''
  server = server .. replication
  local found = redis.call('HMGET', STORE, 'generation', 'server', 'since', 'empty')
  if found[1] and found[2] == server then
    return tonumber(found[1]), tonumber(found[3]), found[4] == '1'
  end
  local empty = '0'
  if not found[1] then empty = '1' end
  local generation = math.max(tonumber(found[1] or '0') + 1, now)
  redis.call('HSET', STORE, 'generation', text(generation), 'server', server, 'since', text(now), 'empty', empty)
  for id, k in pairs(all_nodes()) do
    k.owes = true
    keep(id, k)
  end
  return generation, now, empty == '1'
end

if op == 'look' then
  local window, nodes, shares = read_window(KEYS[4]), all_nodes(), {}
  for id, held in pairs(window.nodes) do
    local k, alive = nodes[id], '0'
    if k and now < k.heard + ALIVE then alive = '1' end
    shares[#shares + 1] = { id, k and k.name or '', text(held.total), held.spent, alive }
  end
  return shares
end

local generation, since, empty = turn()

if op == 'join' then
  for id, k in pairs(all_nodes()) do
    if now > k.heard + NODE_DAYS and id ~= node then redis.call('HDEL', NODES, id) end
  end
  local k = known(node) or { epoch = 0, owes = false }
  k.epoch = math.max(k.epoch + 1, now)
  k.seq, k.heard, k.name = 0, now, ARGV[3]
  keep(node, k)
  return { text(k.epoch), text(generation) }
end

if op == 'leave' then
  local k = known(node)
  if k and k.epoch == tonumber(ARGV[3]) then
    k.owes, k.heard = false, 0
    keep(node, k)
  end
  return 0
end

if op == 'settle' then
  local unknown, changed = tonumber(ARGV[3]), 0
  for i = 4, #KEYS do
    local packed = redis.call('HGET', KEYS[i], node)
    if packed then
      local held = read_held(packed)
      local settled = math.min(held.total, math.ceil(tonumber(held.spent) / 1000) + unknown)
      if settled < held.total then
        held.total, changed = settled, changed + 1
        keep_held(KEYS[i], node, held)
      end
    end
  end
  local k = known(node)
  if k then
    k.epoch, k.seq, k.owes = k.epoch + 1, 0, false
    keep(node, k)
  end
  return changed
end

local epoch, seq = tonumber(ARGV[3]), tonumber(ARGV[4])
local is_current = tonumber(ARGV[5]) == generation
local k = known(node)
if not k then k = { epoch = 0, seq = 0, owes = true, name = '' } end
if epoch < k.epoch then return { 'fenced' } end
k.heard = now
local is_new = epoch > k.epoch or seq > k.seq
if is_new then
  k.epoch, k.seq = epoch, seq
  k.owes = k.owes and not (is_current and ARGV[6] == '1')
end
keep(node, k)

local is_frozen = false
if now < since + SETTLE then
  is_frozen = empty
  for _, other in pairs(all_nodes()) do is_frozen = is_frozen or other.owes end
end
local may_lease = is_current and not is_frozen

-- Other nodes that are alive and have not answered for the latest round.
local function pending_in(window)
  local pending = 0
  for id, held in pairs(window.nodes) do
    if id ~= node and held.answered < window.round and held.total > 0 then
      local other = known(id)
      if other and now < other.heard + ALIVE then pending = pending + 1 end
    end
  end
  return pending
end

local lines, windows = #KEYS - 3, {}
for i = 1, lines do
  local key, at = KEYS[3 + i], 6 + (i - 1) * 8
  local limit, held, need, want = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local window = read_window(key)
  windows[i] = window
  -- One that is long over may have been dropped already.
  local may_lease = may_lease and (ARGV[at + 8] == '0' or now < tonumber(ARGV[at + 8]))
  if is_new then
    local own = window.nodes[node] or { total = 0, spent = '0', answered = 0 }
    local total = math.max(own.total, held)
    if want <= total then
      if may_lease then total = math.max(want, held) end
    elseif may_lease then
      local free = math.max(limit - (window.leased - own.total) - total, 0)
      local needed = math.max(need - total, 0)
      if free >= needed then
        total = total + needed + math.min(want - total - needed, math.floor((free - needed) / PART))
      end
    end
    window.leased = window.leased - own.total + total
    own.total, own.spent = total, ARGV[at + 5]
    own.answered = math.max(own.answered, tonumber(ARGV[at + 6]))
    if may_lease and need > total then
      if tonumber(ARGV[at + 7]) >= window.round and pending_in(window) == 0 then
        window.round, window.opened = window.round + 1, now
        redis.call('HSET', key, '#', text(window.round) .. ' ' .. text(now))
        redis.call('HSET', WANTED, key, text(now))
      end
      own.answered = window.round
    end
    window.nodes[node] = own
    keep_held(key, node, own)
    if ARGV[at + 8] ~= '0' then redis.call('PEXPIREAT', key, ARGV[at + 8]) end
  end
end

local states = {}
for i = 1, lines do
  local window, spent = windows[i], {}
  for id, held in pairs(window.nodes) do
    if id ~= node then spent[#spent + 1] = held.spent end
  end
  local own = window.nodes[node] or { total = 0 }
  states[i] = { text(own.total), text(window.leased), text(window.round), text(pending_in(window)), spent }
end

local wanted, flat = {}, redis.call('HGETALL', WANTED)
for i = 1, #flat, 2 do
  local key = flat[i]
  if now >= tonumber(flat[i + 1]) + WANT then
    redis.call('HDEL', WANTED, key)
  elseif #wanted < LINES then
    local packed, round = redis.call('HGET', key, node), redis.call('HGET', key, '#')
    if packed and round then
      local own, latest = read_held(packed), tonumber(string.match(round, '^(%S+)'))
      if own.total > 0 and own.answered < latest then wanted[#wanted + 1] = { key, text(latest) } end
    end
  end
end

local frozen = '1'
if may_lease then frozen = '0' end
return { 'told', text(generation), frozen, states, wanted }
