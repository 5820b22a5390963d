--- By which way a connection goes to its server (docs/ways.md): Unix sockets, a
-- local address, several addresses, keep-alive, on_address. Proxies are in
-- proxies_spec.lua.
local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"
local ways = require "spec.support.ways"

local fails, misuse = claims.fails, claims.misuse
local NAME, MAILBOX, record = ways.NAME, ways.MAILBOX, ways.record

after_each(server.stop_all)

teardown(child.clean)

-- The lines of a script in a process of its own, in which every name has these
-- addresses.
local function run(script, port, names, ...)
  return child.lines { script = script, arguments = { port, ... },
    shim = names ~= nil, env = { SHIM_NAMES = names } }
end

-- ------------------------------------------------------------ Unix sockets

describe("A Unix socket", function()
  local folder

  before_each(function() folder = files.make_folder() end)
  after_each(function() files.remove_folder(folder) end)

  it("is connected to in place of the host, which is its name", function()
    local path = folder .. "/pop3"
    local s = server.start { host = path, connections = { { MAILBOX } } }
    local conn = pop3.POP3(NAME, 110, { unix_socket = path })
    local info = conn:info()
    assert.same({ NAME, 110, path, 1 },
      { info.host, info.port, info.unix_socket, info.attempts })
    assert.is_nil(info.address)
    conn:login("joe", "secret") -- in clear: it stays on this host
    conn:quit()
    record(s)
  end)

  it("has TLS for the host's name", function()
    local path = folder .. "/pop3"
    local s = server.start { host = path, connections = {
      { { tls = certificates.server "exact" }, "S: +OK" },
      { { tls = certificates.server "exact" } } } }
    local options = { unix_socket = path, cafile = certificates.cafile }
    pop3.POP3_SSL(NAME, 995, options):close()
    fails("tls", "hostname", pop3.POP3_SSL, "other.example", 995, options)
    s:stop()
  end)

  it("that is not there is an error that names it", function()
    local path = folder .. "/none"
    local err = fails("io", "enoent", pop3.POP3, NAME, 110, { unix_socket = path })
    assert.truthy(tostring(err):find(path, 1, true), tostring(err))
    assert.truthy(tostring(err):find("check unix_socket", 1, true), tostring(err))
  end)

  it("has a path of bounded length", function()
    for _, path in ipairs { "", "/" .. ("x"):rep(107) } do
      local err = misuse(pop3.POP3, NAME, 110, { unix_socket = path })
      assert.truthy(err:find("bad option 'unix_socket' to 'POP3' (a path of 1 to "
        .. "107 octets", 1, true), err)
    end
    fails("io", "enoent", pop3.POP3, NAME, 110,
      { unix_socket = "/" .. ("x"):rep(106) })
  end)
end)

-- ------------------------------------------------------------ addresses

describe("local_address", function()
  it("is where the connection comes from", function()
    local s = server.start { { "S: +OK" } }
    pop3.POP3(s.host, s.port, { local_address = "127.0.0.9" }):close()
    assert.equal("127.0.0.9", s:report().connections[1].peer)
  end)

  it("leaves out addresses of the other family", function()
    local s = server.start { { "S: +OK" } }
    local script = [[
      local port, address = ...
      local ok, conn = pcall(require("pop3").POP3, "mail.example",
        tonumber(port), { local_address = address })
      if not ok then return print(conn.kind, conn) end
      print(conn:info().address, conn:info().attempts)
    ]]
    local lines = run(script, s.port, "::1,127.0.0.1", "127.0.0.9")
    assert.same({ "127.0.0.1\t1" }, lines)
    lines = run(script, s.port, "127.0.0.1,127.0.0.2", "::1")
    assert.truthy(lines[1]:find("^io\t.*mail.example:%d+: it has no IPv6 address"),
      lines[1])
  end)

  it("that is not this host's is an error that says so", function()
    local s = server.start { { "S: +OK" } }
    local err = fails("io", "eaddrnotavail", pop3.POP3, s.host, s.port,
      { local_address = "192.0.2.1" })
    assert.truthy(tostring(err):find("local_address", 1, true), tostring(err))
    s:stop()
  end)
end)

describe("Several addresses", function()
  local SCRIPT = [[
    local port = tonumber((...))
    local ok, conn = pcall(require("pop3").POP3, "mail.example", port)
    if not ok then return print(conn) end
    print(conn:info().address, conn:info().attempts)
  ]]

  it("T28 one after the other, until one answers", function()
    local s = server.start { { "S: +OK" } }
    assert.same({ "127.0.0.1\t3" }, run(SCRIPT, s.port,
      "127.0.0.2,127.0.0.3,127.0.0.1,127.0.0.4"))
  end)

  -- A full queue of connections that nobody accepts swallows the next.
  local SILENT = [[
    for _ = 1, 3 do
      pcall(require("pop3").POP3, "127.0.0.2", tonumber((...)), { timeout = 0.1 })
    end
  ]]

  local IN_A_LOOP = [[
    local port = ...
    local loop = require("pop3.loop.poll").new()
    loop:spawn(function()
      local conn = require("pop3").POP3("mail.example", tonumber(port),
        { loop = loop })
      print(conn:info().address, conn:info().attempts)
      conn:close()
    end)
    loop:run()
  ]]

  for where, script in pairs { ["a script"] = SCRIPT, ["a loop"] = IN_A_LOOP } do
    it("T28 a silent one costs a moment, in " .. where, function()
      local s = server.start { { "S: +OK" } }
      local silent = server.start { host = "127.0.0.2", port = s.port,
        backlog = 0, accept = false }
      local took = claims.within(10, function()
        assert.same({ "127.0.0.1\t2" }, run(SILENT .. script, s.port,
          "127.0.0.2,127.0.0.1,127.0.0.3"))
      end)
      assert.is_true(took >= 0.25)
      silent:stop()
      s:report()
    end)
  end

  it("none of which answers: the first reason, and how many", function()
    local lines = run(SCRIPT, server.closed_port(),
      "127.0.0.2,127.0.0.3,127.0.0.4")
    assert.truthy(lines[1]:find("refused (the first of 3 addresses; none answered)",
      1, true), lines[1])
  end)
end)

describe("keepalive", function()
  -- Of our end of a connection to that port: does a timer of keep-alive run,
  -- and for how many seconds (proc(5), net/tcp)?
  local function timer(port)
    local remote = (":%04X "):format(port)
    for line in io.lines("/proc/net/tcp") do
      local state, kind, ticks = line:match("^%s*%d+: %x+:%x+ %x+" .. remote
        .. "(%x%x) %x+:%x+ (%x%x):(%x+)")
      if state == "01" then
        return kind == "02", math.ceil(tonumber(ticks, 16) / 100)
      end
    end
  end

  it("has the system ask a silent peer", function()
    for value, wanted in pairs { [true] = 7200, [1000] = 1000, [false] = 0 } do
      local s = server.start { { "S: +OK", { eof = true } } }
      local conn = pop3.POP3(s.host, s.port, { keepalive = value })
      local running, seconds = timer(s.port)
      assert.equal(value ~= false, running)
      if value == 1000 then
        assert.is_true(seconds <= wanted and seconds > wanted - 100, seconds)
      elseif value then
        assert.is_true(seconds > 1000, seconds)
      end
      conn:close()
      s:report()
    end
  end)
end)

-- ------------------------------------------------------------ on_address

describe("on_address", function()
  it("is told host, address and port before anything is connected", function()
    local s = server.start { { "S: +OK" } }
    local asked = {}
    pop3.POP3("localhost", s.port, { local_address = "127.0.0.1",
      on_address = function(...) asked[#asked + 1] = { ... } end }):close()
    assert.same({ { "localhost", "127.0.0.1", s.port } }, asked)
    s:report()
  end)

  it("allows by true and by nothing, refuses by the rest", function()
    local s = server.start { connections = { { "S: +OK" } }, accepts = 0 }
    for _, answer in ipairs { function() return true end, function() end } do
      pop3.POP3(s.host, s.port, { on_address = answer }):close()
    end
    for reason, answer in pairs {
      ["on_address"] = function() return false end,
      ["not there"] = function() return false, "not there" end,
      ["nor there"] = function() return nil, "nor there" end,
      ["that way"] = function() return "that way" end,
      ["neither true, false nor nil"] = function() return {} end,
      ["out of order"] = function() error("out of order", 0) end,
      ["raised an error"] = function() error({}) end,
      ["yield"] = function() coroutine.yield() end,
    } do
      local err
      coroutine.wrap(function()
        err = fails("policy", "restricted", pop3.POP3, s.host, s.port,
          { on_address = answer })
      end)()
      assert.truthy(tostring(err):find("on_address refuses address 127.0.0.1 of "
        .. "127.0.0.1 (", 1, true), tostring(err))
      assert.truthy(tostring(err):find(reason, 1, true), tostring(err))
    end
    assert.equal(2, s:report().accepted)
  end)

  it("leaves the other addresses", function()
    local s = server.start { { "S: +OK" } }
    assert.same({ "127.0.0.1\t1" }, run([[
      local conn = require("pop3").POP3("mail.example", tonumber((...)),
        { on_address = function(_, address) return address == "127.0.0.1" end })
      print(conn:info().address, conn:info().attempts)
    ]], s.port, "127.0.0.2,127.0.0.3,127.0.0.1"))
  end)

  it("sees the proxy's address", function()
    local s = server.start { ways.socks "S: +OK" }
    local asked = {}
    ways.through(s, "socks5", { on_address = function(...)
      asked[#asked + 1] = { ... }
    end }):close()
    assert.same({ { "127.0.0.1", "127.0.0.1", s.port } }, asked)
    record(s)
  end)

  it("is asked beside the host's: either refuses", function()
    local s = server.start { { "S: +OK" } }
    assert.same({ "ok\ttrue", "policy\ttrue", "policy\ttrue" }, run([[
      local pop3, port = require "pop3", tonumber((...))
      local asked
      pop3.restrict { on_address = function(_, _, p)
        asked = p
        return asked ~= 1
      end }
      local function try(at, answer)
        asked = nil
        local own = false
        local ok, err = pcall(pop3.POP3, "127.0.0.1", at, { on_address = function()
          own = true
          return answer
        end })
        print(ok and "ok" or err.kind, own)
      end
      try(port, true)
      try(port, false)
      try(1, true)
    ]], s.port))
  end)

  it("of one connection is not asked for another one", function()
    local s = server.start { connections = { { "S: +OK" } }, accepts = 0 }
    local calls = 0
    local function hook() calls = calls + 1 end
    -- Many at a time: some of the second are where one of the first was.
    local function open_many(options)
      local conns = {}
      for i = 1, 20 do conns[i] = pop3.POP3(s.host, s.port, options) end
      for _, conn in ipairs(conns) do conn:close() end
    end
    for _ = 1, 3 do
      open_many { on_address = hook }
      collectgarbage()
      collectgarbage()
      open_many()
    end
    assert.equal(60, calls)
  end)

  it("may close nothing, and what it keeps is collected", function()
    local s = server.start { connections = { { "S: +OK" } }, accepts = 0 }
    local gone = setmetatable({}, { __mode = "k" })
    do
      local conn
      local big = {}
      gone[big] = true
      conn = pop3.POP3(s.host, s.port,
        { on_address = function() return conn == nil and big ~= nil end })
      conn:close()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(gone))
  end)
end)
