-- What a session costs inside of nginx, and what the worker's other users feel
-- of it: Markdown tables on standard output. scripts/bench-nginx runs it.
--
-- Usage: luajit nginx.lua SERVER CERTIFICATES [ROUNDS]

local nginx = require "spec.support.nginx"
local files = require "spec.support.files"
local socket = require "socket"

local quote = files.quote

local program, certificates, rounds = arg[1], arg[2], tonumber(arg[3] or 7)
local cafile = certificates .. "/root.pem"

-- The server lives as long as its standard input, which is our pipe.
local function load_server(messages, size)
  local said = os.tmpname()
  local pipe = assert(io.popen(("exec %s --messages %d --size %d --no-digest "
    .. "--cert %s --key %s >%s"):format(quote(program), messages, size,
    quote(certificates .. "/ip.pem"), quote(certificates .. "/key.pem"),
    quote(said)), "w"))
  local facts
  repeat
    socket.sleep(0.01)
    facts = files.read(said)
  until facts:find("\n")
  os.remove(said)
  return {
    port = tonumber(facts:match('"port": (%d+)')),
    tls = tonumber(facts:match('"tls_port": (%d+)')),
    stop = function() pipe:close() end,
  }
end

-- The worker's CPU time and the clock around a function, in the worker.
local MEASURE = [[
  local ffi = require "ffi"
  if not package.loaded.declared then
    ffi.cdef "long clock(void);"
    package.loaded.declared = true
  end
  local pop3 = require "pop3"
  local now = pop3.now
  local function measure(fn)
    collectgarbage()
    local cpu, wall = ffi.C.clock(), now()
    fn()
    ngx.print(tonumber(ffi.C.clock() - cpu) / 1e6, " ", now() - wall)
  end
  local function open()
    local options = { cafile = %q, max_octets = 0 }
    if ngx.var.arg_loop == "none" then options.loop = false end
    if ngx.var.arg_tls then options.tls = "implicit" end
    local port = ngx.var.arg_tls or ngx.var.arg_port
    local M = pop3.POP3("127.0.0.1", tonumber(port), options)
    M:login("u", "p", { auth = "USER" })
    return M
  end
]]

-- What no client over a cosocket can be below: a few lines of Lua, by the same
-- commands, without a look at what they receive but for the ends of messages.
local FLOOR = MEASURE .. [[
  local sock, count = nil, tonumber(ngx.var.arg_count)
  local function ask(line, final)
    sock:send(line)
    local text = ""
    repeat text = text .. sock:receiveany(65536) until text:sub(-#final) == final
  end
  local function log_in()
    sock = ngx.socket.tcp()
    sock:settimeouts(60000, 60000, 60000)
    sock:connect("127.0.0.1", tonumber(ngx.var.arg_port))
    sock:receiveany(65536)
    ask("USER u\r\n", "\n")
    ask("PASS p\r\n", "\n")
  end
]]

local floors = {}

floors.small = FLOOR .. [[
  log_in()
  measure(function()
    for n = 1, count do ask("RETR " .. n .. "\r\n", "\r\n.\r\n") end
  end)
]]

floors.sessions = FLOOR .. [[
  measure(function()
    for _ = 1, count do
      log_in()
      ask("RETR 1\r\n", "\r\n.\r\n")
      ask("QUIT\r\n", "\n")
      sock:close()
    end
  end)
]]

-- As many commands in flight as ours has, and a string for each message.
floors.many = FLOOR .. [[
  local FINAL, AT_ONCE = "\r\n.\r\n", 372
  local rest, got, kept = "", 0, {}
  local function keep(message)
    got = got + 1
    kept[got %% 8] = message -- or the compiler leaves it out
  end
  local function across(text) -- does an end straddle two pieces?
    local before = rest:sub(-4)
    local _, last = (before .. text:sub(1, 4)):find(FINAL, 1, true)
    return last and last - #before or select(2, text:find(FINAL, 1, true))
  end
  local function take(text)
    local last = across(text)
    if not last then
      rest = rest .. text
      return
    end
    keep(rest .. text:sub(1, last))
    local first = last + 1
    while true do
      last = select(2, text:find(FINAL, first, true))
      if not last then break end
      keep(text:sub(first, last))
      first = last + 1
    end
    rest = text:sub(first)
  end
  log_in()
  measure(function()
    for begun = 0, count - 1, AT_ONCE do
      local lines = {}
      for n = begun + 1, math.min(begun + AT_ONCE, count) do
        lines[#lines + 1] = "RETR " .. n .. "\r\n"
      end
      sock:send(table.concat(lines))
      while got < begun + #lines do take(sock:receiveany(65536)) end
    end
  end)
]]

local SMALL = MEASURE .. [[
  local M, count = open(), tonumber(ngx.var.arg_count)
  M:retr_string(1)
  measure(function()
    for n = 1, count do M:retr_string(n) end
  end)
  M:quit()
]]

local MANY = MEASURE .. [[
  local M, list = open(), {}
  for n = 1, tonumber(ngx.var.arg_count) do list[n] = n end
  measure(function() M:retr_many(list, function() end) end)
  M:quit()
]]

local SESSIONS = MEASURE .. [[
  measure(function()
    for _ = 1, tonumber(ngx.var.arg_count) do
      local M = open()
      M:retr_string(1)
      M:quit()
    end
  end)
]]

local LARGE = MEASURE .. [[
  local M = open()
  measure(function() M:retr_to(1, function() end) end)
  M:quit()
]]

-- How long the worker is busy at a stretch, of its own CPU time: what others
-- wait for, whatever else the machine does.
local TURNS = MEASURE .. [[
  local M, gaps, busy = open(), {}, true
  local counting = ngx.thread.spawn(function()
    while busy do
      local before = ffi.C.clock()
      ngx.sleep(0.001)
      gaps[#gaps + 1] = tonumber(ffi.C.clock() - before) / 1000
    end
  end)
  M:retr_to(1, function() end)
  busy = false
  ngx.thread.wait(counting)
  M:quit()
  ngx.print(table.concat(gaps, " "))
]]

local function start(buffer)
  local content = { ping = 'ngx.print("pong")' }
  for name, code in pairs { small = SMALL, many = MANY, large = LARGE,
    sessions = SESSIONS, turns = TURNS } do
    content[name] = code:format(cafile)
  end
  for name, code in pairs(floors) do
    content["floor_" .. name] = code:format(cafile)
  end
  return nginx.start { content = content,
    http = "lua_socket_buffer_size " .. buffer .. ";" }
end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local function seconds(host, path)
  local body = host:get(path)
  local cpu, wall = body:match("^(%S+) (%S+)$")
  return assert(tonumber(cpu), body), tonumber(wall)
end

-- Median CPU and wall seconds of each case, taken in turns.
local function compare(cases)
  local cpu, wall = {}, {}
  for round = 0, rounds do
    for i, case in ipairs(cases) do
      local c, w = seconds(case.host, case.path)
      if round > 0 then -- the first one warms up
        cpu[i], wall[i] = cpu[i] or {}, wall[i] or {}
        table.insert(cpu[i], c)
        table.insert(wall[i], w)
      end
    end
  end
  for i in ipairs(cases) do cpu[i], wall[i] = median(cpu[i]), median(wall[i]) end
  return cpu, wall
end

-- ------------------------------------------------------------ small messages

local function small(size, host)
  local count = 2000
  local server = load_server(count, size)
  for _, how in ipairs { "small", "many", "sessions" } do
    for _, tls in ipairs { false, true } do
      local times = how == "sessions" and 300 or count
      local path = ("/%s?count=%d&port=%d"):format(how, times, server.port)
      if tls then path = path .. "&tls=" .. server.tls end
      local cpu, wall = compare {
        { host = host, path = path .. "&loop=none" },
        { host = host, path = path },
        { host = host, path = (path:gsub("^/", "/floor_")) },
      }
      local micro = 1e6 / times
      local floor = not tls and ("%.1f"):format(cpu[3] * micro) or ""
      print(("| %s, %d octets%s | %.1f | %.1f | %.2f | %s | %.1f | %.1f |")
        :format(how, size, tls and ", TLS" or "", cpu[1] * micro,
          cpu[2] * micro, cpu[2] / cpu[1], floor, wall[1] * micro,
          wall[2] * micro))
    end
  end
  server.stop()
end

-- ------------------------------------------------------------ large ones

local LARGE_SIZE = 256 * 1048576

local function large(server, hosts)
  for _, tls in ipairs { false, true } do
    local path = "/large?port=" .. server.port
    if tls then path = path .. "&tls=" .. server.tls end
    local cpu, wall = compare {
      { host = hosts["4k"], path = path .. "&loop=none" },
      { host = hosts["4k"], path = path },
      { host = hosts["64k"], path = path },
    }
    for i, name in ipairs { "blocking", "4k (the default)", "64k" } do
      print(("| %s%s | %.0f | %.2f | %.0f |"):format(name, tls and ", TLS"
        or "", cpu[i] * 4000, cpu[i] / cpu[1], wall[i] * 4000))
    end
  end
end

-- ------------------------------------------------------------ the witness

local function percentile(list, share)
  table.sort(list)
  return list[math.max(1, math.ceil(#list * share))] * 1000
end

-- Requests one after the other, as long as `going` says so.
local function witness(host, going)
  local times = {}
  while going(#times) do
    local begun = socket.gettime()
    host:get("/ping")
    times[#times + 1] = socket.gettime() - begun
  end
  return times
end

local function add_all(list, more)
  for _, value in ipairs(more) do list[#list + 1] = value end
end

local function is_over(request)
  return #socket.select({ request.stream }, nil, 0) > 0
end

local function latency(name, host, path)
  local alone, beside = {}, {}
  for _ = 1, rounds do
    add_all(alone, witness(host, function(n) return n < 500 end))
    local request = host:open(path)
    add_all(beside, witness(host, function() return not is_over(request) end))
    request:answer()
  end
  print(("| %s | %d | %.2f | %.2f | %.2f | %.2f | %.2f |"):format(name,
    #beside, percentile(alone, 0.5), percentile(alone, 0.99),
    percentile(beside, 0.5), percentile(beside, 0.99),
    percentile(beside, 0.99) - percentile(alone, 0.99)))
end

local function turns(name, host, path)
  local gaps = {}
  for _ = 1, rounds do
    for gap in host:get((path:gsub("^/large", "/turns"))):gmatch "%S+" do
      gaps[#gaps + 1] = tonumber(gap) / 1000
    end
  end
  print(("| %s | %d | %.2f | %.2f | %.2f |"):format(name, #gaps,
    percentile(gaps, 0.5), percentile(gaps, 0.99), percentile(gaps, 1)))
end

-- ------------------------------------------------------------ all of it

local hosts = { ["4k"] = start "4k", ["64k"] = start "64k" }

print [[
| CPU, microseconds each | blocking | cosocket | times | floor | blocking, wall | wall |
|---|--:|--:|--:|--:|--:|--:|]]
small(1024, hosts["64k"])
small(4096, hosts["64k"])
small(4096, hosts["4k"])

local server = load_server(1, LARGE_SIZE)
print [[

| a message of 256 MiB, `lua_socket_buffer_size` | ms CPU/GiB | times | ms/GiB |
|---|--:|--:|--:|]]
large(server, hosts)

print [[

| another request meanwhile | requests | alone p50, ms | p99 | beside p50 | p99 | added p99 |
|---|--:|--:|--:|--:|--:|--:|]]
local function beside_large(report)
  for _, buffer in ipairs { "4k", "64k" } do
    local path = "/large?port=" .. server.port
    report(buffer, hosts[buffer], path)
    report(buffer .. ", TLS", hosts[buffer], path .. "&tls=" .. server.tls)
  end
end
beside_large(latency)

print [[

| the worker is busy at a stretch, CPU | turns | p50, ms | p99 | most |
|---|--:|--:|--:|--:|]]
beside_large(turns)
server.stop()
nginx.stop_all()
