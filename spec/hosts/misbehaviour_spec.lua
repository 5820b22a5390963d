--- Hosts that do not do what they should: an error that says so, in time, and
-- never a hang.

local claims = require "spec.support.claims"
local lua = require "spec.support.lua"
local pop3 = require "pop3"
local server = require "spec.support.server"

local Loop = require "pop3.loop.poll"

after_each(server.stop_all)

-- ------------------------------------------------------------ wait

local function quiet()
  return server.start { { "S: +OK", { stall = true } } }
end

--- A connection whose wait becomes `wait` behind the greeting.
local function spoilt(s, wait, options)
  local good, poll = true, Loop.new()
  options = options or {}
  options.timeout = options.timeout or 0.3
  function options.wait(conn, interests, deadline)
    if good then return poll:wait(interests, deadline) end
    return wait(conn, interests, deadline)
  end
  local conn = pop3.POP3(s.host, s.port, options)
  good = false
  return conn
end

describe("A wait", function()
  it("that returns at once, for ever, meets the deadline", function()
    local conn = spoilt(quiet(), function() end)
    claims.within(10, claims.fails, "timeout", "idle", conn.noop, conn)
  end)

  it("for a wrong descriptor meets the deadline", function()
    local s = server.start { { "S: +OK", "C: NOOP", "S: +OK", { stall = true } } }
    local other = quiet()
    local idle = pop3.POP3(other.host, other.port)
    local conn = spoilt(s, function(_, _, deadline)
      repeat
        Loop.new():wait({ { idle:fd(), "r" } }, deadline)
      until pop3.now() >= deadline
    end)
    claims.within(10, pcall, conn.noop, conn)
    conn:close()
  end)

  it("for a descriptor that was closed returns", function()
    local s = server.start { { "S: +OK", { stall = true } } }
    local conn = pop3.POP3(s.host, s.port)
    local fd = conn:fd()
    conn:close()
    claims.within(5, function()
      Loop.new():wait({ { fd, "r" } }, pop3.now() + 60)
    end)
  end)

  it("that raises is the caller's error, and the connection is busy", function()
    local mine = {}
    local conn = spoilt(quiet(), function() error(mine, 0) end)
    local ok, err = pcall(conn.noop, conn)
    assert.is_true(not ok and err == mine)
    claims.fails("state", "busy", conn.noop, conn)
    conn:close()
  end)

  it("that calls the connection is refused", function()
    local err
    local conn = spoilt(quiet(), function(conn)
      err = err or claims.fails("state", "busy", conn.noop, conn)
    end)
    claims.fails("timeout", "idle", conn.noop, conn)
    assert.truthy(err)
  end)

  it("whose results are nonsense is not looked at", function()
    local s = server.start { { "S: +OK", "C: NOOP", "S: +OK", { eof = true } } }
    local poll = Loop.new()
    local conn = spoilt(s, function(_, interests, deadline)
      poll:wait(interests, deadline)
      return nil, "no", {}, 5
    end, { timeout = 20 })
    assert.equal("+OK", conn:noop())
    conn:close()
  end)
end)

-- ------------------------------------------------------------ transports

--- A transport in memory: `receive` gives these, then says "closed".
local function memory(pieces)
  local transport = { sent = {}, closed = 0 }
  function transport:send(octets)
    self.sent[#self.sent + 1] = octets
    return true
  end
  function transport.receive()
    local piece = table.remove(pieces, 1)
    if piece then return piece end
    return nil, "closed"
  end
  function transport:close() self.closed = self.closed + 1 end
  return transport
end

--- A connection behind its greeting over such a transport.
local function carried(pieces, options)
  local transport = memory(pieces)
  table.insert(pieces, 1, "+OK\r\n")
  options = options or {}
  options.transport = transport
  options.timeout = options.timeout or 0.3
  return pop3.POP3("memory", 110, options), transport
end

local function pack(...) return { n = select("#", ...), ... } end

local unpack = unpack or table.unpack -- luacheck: ignore

local function returning(results)
  return function() return unpack(results, 1, results.n) end
end

-- What receive returns, and what becomes of a call.
local receives = {
  { "nothing", pack(), "io" },
  { "nil", pack(nil), "io" },
  { "nil and a number", pack(nil, 7), "io" },
  { "nil and a table", pack(nil, {}), "io" },
  { "nil and an empty reason", pack(nil, ""), "io" },
  { "an empty string", pack(""), "io" },
  { "more than was asked for", pack(("x"):rep(1048577)), "io" },
  { "a number", pack(5), "io" },
  { "true", pack(true), "io" },
  { "false", pack(false), "io" },
  { "a table", pack({}), "io" },
  { "closed", pack(nil, "closed"), "closed" },
  { "timeout, for ever", pack(nil, "timeout"), "timeout" },
  { "a system's error", pack(nil, "Connection reset by peer"), "io" },
  { "control characters", pack(nil, "a\r\n\27[31mb\0c"), "io" },
}

local sends = {
  { "nothing", pack(), "io" },
  { "nil", pack(nil), "io" },
  { "nil and a table", pack(nil, {}), "io" },
  { "0", pack(0), "io" },
  { "-1", pack(-1), "io" },
  { "a fraction", pack(1.5), "io" },
  { "no number", pack(0 / 0), "io" },
  { "infinity", pack(math.huge), "io" },
  { "more than there was", pack(7), "io" },
  { "a string", pack("6"), "io" },
  { "a table", pack({}), "io" },
  { "false", pack(false), "io" },
  { "nil, and more than there was", pack(nil, "broken", 99), "io" },
  { "timeout, for ever", pack(nil, "timeout"), "timeout" },
}

describe("A transport", function()
  local function fails_like(kind, conn, transport)
    local err
    claims.within(10, function()
      err = claims.failure(conn.noop, conn)
    end)
    assert.equal(kind, err.kind, tostring(err))
    assert.falsy(tostring(err):find("[%c]"))
    assert.equal(1, transport.closed)
    conn:close()
    assert.equal(1, transport.closed)
  end

  for _, row in ipairs(receives) do
    local what, results, kind = unpack(row)
    it("that receives " .. what .. " is " .. kind, function()
      local conn, transport = carried {}
      local first = true
      transport.receive = function()
        if first then -- the look before a command
          first = false
          return nil, "timeout"
        end
        return unpack(results, 1, results.n)
      end
      fails_like(kind, conn, transport)
    end)
  end

  for _, row in ipairs(sends) do
    local what, results, kind = unpack(row)
    it("that has sent " .. what .. " is " .. kind, function()
      local conn, transport = carried {}
      transport.send = returning(results) -- of "NOOP\r\n", six octets
      transport.receive = returning(pack(nil, "timeout"))
      fails_like(kind, conn, transport)
    end)
  end

  -- A socket that fails may have said why; a stream that is wrong has not.
  for _, results in ipairs { pack(0), pack({}), pack(nil), pack(nil, "") } do
    it("that has sent nonsense is told so, whatever the server says: "
      .. type(results[1]) .. results.n, function()
      local conn, transport = carried {}
      local replies = {}
      function transport.send()
        replies[1] = "+OK\r\n"
        return unpack(results, 1, results.n)
      end
      function transport.receive()
        return table.remove(replies) or nil, "timeout"
      end
      local err = claims.failure(conn.noop, conn)
      assert.equal("io", err.kind)
      assert.truthy(err.message:find("the transport", 1, true), err.message)
    end)
  end

  it("may take an octet at a time, and give one", function()
    local conn, transport = carried {}
    local answer, at, said = "+OK yes\r\n", 0, {}
    function transport.send(_, octets)
      said[#said + 1] = octets:sub(1, 1)
      return 1
    end
    function transport.receive()
      if #said < 6 or at >= #answer then return nil, "timeout" end
      at = at + 1
      return answer:sub(at, at)
    end
    assert.equal("+OK yes", conn:noop())
    assert.equal("NOOP\r\n", table.concat(said))
    conn:close()
  end)

  it("may move octets although it fails", function()
    local conn, transport = carried {}
    local said, answers = {}, { { nil, "timeout" }, { nil, "timeout", "+OK " },
      { nil, "closed", "yes\r\n" } }
    function transport.send(_, octets)
      said[#said + 1] = octets:sub(1, 4)
      return nil, "timeout", #said[#said]
    end
    function transport.receive()
      return unpack(table.remove(answers, 1) or { nil, "closed" }, 1, 3)
    end
    assert.equal("+OK yes", conn:noop())
    assert.equal("NOOP\r\n", table.concat(said))
    claims.fails("closed", "eof", conn.noop, conn)
  end)

  for _, method in ipairs { "send", "receive" } do
    it("whose " .. method .. " raises: the caller's error, busy", function()
      local mine = {}
      local conn, transport = carried { "+OK\r\n" }
      transport.receive = returning(pack(nil, "timeout"))
      transport[method] = function() error(mine, 0) end
      local ok, err = pcall(conn.noop, conn)
      assert.is_true(not ok and err == mine)
      claims.fails("state", "busy", conn.noop, conn)
      conn:close()
      assert.equal(1, transport.closed)
    end)
  end

  it("that does not close raises, and the connection is closed", function()
    local conn, transport = carried {}
    transport.close = function() error("mine", 0) end
    local ok, err = pcall(conn.close, conn)
    assert.same({ false, "mine" }, { ok, err })
    assert.is_true(conn:info().closed)
    conn:close()
  end)

  it("is closed with a connection that is over before a call", function()
    local conn, transport = carried { "+OK\r\n-ERR idle\r\n" }
    conn:noop()
    claims.fails("closed", "goodbye", conn.noop, conn)
    assert.equal(1, transport.closed)
    claims.fails("closed", "goodbye", conn.noop, conn)
    conn:close()
    assert.equal(1, transport.closed)
  end)

  it("is closed with a variable that is to be closed, where Lua can", function()
    if not lua.closes then return pending("this Lua cannot") end
    local conn, transport = carried {}
    lua.load("local _ <close> = ...")(conn)
    assert.equal(1, transport.closed)
  end)

  it("is not closed by the collector", function()
    local _, transport = carried {}
    _ = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(0, transport.closed)
  end)

  -- A userdata that shows nothing, not even by an error of ours.
  local function opaque()
    return newproxy and newproxy() or pop3.secret { env = "HOME" } -- luacheck: ignore
  end

  it("is an object with three methods", function()
    for _, wrong in ipairs { 1, "x", true, {}, { send = print }, print,
      coroutine.create(function() end), opaque() } do
      local text = claims.misuse(pop3.POP3, "memory", 110, { transport = wrong })
      assert.truthy(text:find("transport", 1, true), text)
    end
  end)

  it("needs no loop, which false says again", function()
    local conn = pop3.POP3("memory", 110, { loop = false,
      transport = memory { "+OK\r\n" } })
    assert.equal("+OK", conn:getwelcome())
    conn:close()
  end)

  it("that does no TLS is refused as engine before it is used", function()
    local transport = memory { "+OK\r\n" }
    local ok, err = pcall(pop3.POP3, "memory", 995, { transport = transport,
      tls = "implicit", tls_engine = "transport" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("secure", 1, true)
      or tostring(err):find("TLS", 1, true), tostring(err))
    assert.same({}, transport.sent)
  end)
end)

-- ------------------------------------------------------------ connect

describe("A loop's connect", function()
  local function loop(...)
    return { wait = function() end, connect = returning(pack(...)) }
  end

  local answers = {
    { "nothing", pack(), "io" },
    { "nil and a table", pack(nil, {}), "io" },
    { "a text", pack(nil, "no route today"), "io" },
    { "a system's error", pack(nil, "connection refused"), "io" },
    { "timeout", pack(nil, "timeout"), "timeout" },
    { "an unknown name", pack(nil, "not_found"), "resolve" },
    { "a number", pack(5), "io" },
    { "true", pack(true), "io" },
    { "an empty table", pack({}), "io" },
    { "half a transport", pack({ send = print, close = print }), "io" },
  }
  for _, row in ipairs(answers) do
    local what, results, kind = unpack(row)
    it("that returns " .. what .. " is " .. kind, function()
      local err
      claims.within(10, function()
        err = claims.failure(pop3.POP3, "memory", 110,
          { loop = loop(unpack(results, 1, results.n)), connect_timeout = 0.3 })
      end)
      assert.equal(kind, err.kind)
    end)
  end

  it("that raises is the caller's error", function()
    local mine = {}
    local ok, err = pcall(pop3.POP3, "memory", 110, { loop = {
      wait = function() end, connect = function() error(mine, 0) end } })
    assert.is_true(not ok and err == mine)
  end)
end)
