--- threats.md, T50, T51 and T64: every function that a script can reach, called
-- by hand, with receivers and arguments that nobody meant.
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local core = require "pop3.core"
local pop3 = require "pop3"
local server = require "spec.support.server"

after_each(server.stop_all)

teardown(child.clean)

local SCRIPT = { { mailbox = {
  messages = { "Subject: one\r\n\r\nx\r\n", "two\r\n" }, open = true,
  capa = { "PIPELINING", "UIDL", "TOP" },
} } }

local function connect(options)
  local s = server.start { accepts = 0, keep = 0, connections = { SCRIPT } }
  options = options or {}
  options.timeout = 10
  return pop3.POP3(s.host, s.port, options), s
end

-- Each kind of userdata there is, and what its metatable looks like from Lua.
local function userdata()
  return {
    ["pop3.connection"] = connect(),
    ["pop3.context"] = pop3.context {},
    ["pop3.secret"] = pop3.secret { env = "HOME" },
    ["pop3.listing"] = pop3.listing({ "1 10" }, { "1 a" }),
  }
end

-- What no script can reach without the debug library.
local function hidden()
  local found = {}
  for _, value in pairs(debug.getregistry()) do
    local meta = type(value) == "userdata" and debug.getmetatable(value)
    local name = meta and rawget(meta, "__metatable")
    if type(name) == "string" and name:find("^pop3%.") then found[name] = value end
  end
  return found
end

-- ------------------------------------------------------------ T50

describe("T50 A metatable", function()
  it("is hidden, of every userdata that there is", function()
    for name, value in pairs(userdata()) do
      assert.equal(name, getmetatable(value))
      assert.is_nil(getmetatable(value).__gc)
      assert.is_false((pcall(setmetatable, value, {})))
      assert.is_false((pcall(function() getmetatable(value).__gc(value) end)))
    end
  end)

  it("is hidden of those that nobody sees, too", function()
    local found = hidden()
    assert.is_not_nil(found["pop3.buffers"])
    assert.is_not_nil(found["pop3.policy"])
    for name, value in pairs(found) do assert.equal(name, getmetatable(value)) end
  end)

  it("is hidden of error objects and of their class", function()
    local err = claims.failure(pop3.POP3, "127.0.0.1", server.closed_port())
    for _, object in ipairs { err, pop3.error_proto } do
      assert.equal("string", type(getmetatable(object)))
      assert.is_false((pcall(setmetatable, object, nil)))
    end
  end)
end)

describe("T50 A finaliser that is called by hand", function()
  local function finalise(value) debug.getmetatable(value).__gc(value) end

  it("closes a connection, as often as it is called", function()
    local conn, s = connect()
    for _ = 1, 3 do finalise(conn) end
    assert.is_true(conn:info().closed)
    claims.fails("state", "closed", conn.noop, conn)
    conn:close()
    s:report()
  end)

  it("in a call closes the connection when it is over", function()
    for _, method in ipairs { "retr_to", "retr_many" } do
      local conn = connect()
      claims.fails("state", "closed", conn[method], conn, method == "retr_to" and 1 or { 1, 2 },
        function() finalise(conn) end)
      claims.fails("state", "closed", conn.noop, conn)
    end
  end)

  it("leaves a context to the connections that have it", function()
    local certificates = require "spec.support.certificates"
    local s = server.start { accepts = 0, keep = 0, connections = { { { mailbox = {
      messages = {}, open = true, stls = certificates.server "exact" } } } } }
    local context = pop3.context { cafile = certificates.cafile, servername = certificates.name }
    local conn = pop3.POP3(s.host, s.port, { context = context, timeout = 10 })
    finalise(context)
    finalise(context)
    conn:stls()
    assert.is_true(conn:info().secure)
    conn:close()
    assert.is_false((pcall(pop3.POP3, s.host, s.port, { context = context, timeout = 10 })))
  end)

  it("of the receive buffers leaves connections that go on", function()
    local conn, s = connect()
    local buffers = hidden()["pop3.buffers"]
    debug.getmetatable(buffers).__gc(buffers)
    debug.getmetatable(buffers).__gc(buffers)
    assert.equal("two\r\n", (conn:retr_string(2)))
    local other = pop3.POP3(s.host, s.port, { timeout = 10 })
    assert.equal("two\r\n", (other:retr_string(2)))
    conn:close()
    other:close()
  end)

  it("does nothing to anything else", function()
    local some = userdata()
    local strangers = { 1, "x", true, {}, print, io.stdout, coroutine.create(function() end),
      some["pop3.connection"], some["pop3.context"], some["pop3.listing"] }
    for name, value in pairs(some) do
      local gc = debug.getmetatable(value).__gc
      if gc then
        for _, stranger in ipairs(strangers) do
          if getmetatable(stranger) ~= name then gc(stranger) end
        end
        gc()
        gc(nil)
      end
    end
    assert.is_false(some["pop3.connection"]:info().closed)
    assert.equal(1, #some["pop3.listing"])
  end)
end)

-- ------------------------------------------------------------ T51, directed

-- Values of every type, none of which is a connection.
local function strangers()
  local some = userdata()
  return { true, false, 0, -1, 1.5, "", "x", {}, print, function() end, io.stdout,
    coroutine.create(function() end), some["pop3.context"], some["pop3.secret"],
    some["pop3.listing"], pop3.error_proto, pop3, core,
    newproxy and newproxy(true) or io.stderr } -- luacheck: ignore
end

describe("T51 The wrong receiver", function()
  for name in pairs(core.methods) do
    it("of " .. name .. " is an ordinary error that says so", function()
      for _, stranger in ipairs(strangers()) do
        local text = claims.misuse(core.methods[name], stranger, {}, print)
        assert.match("bad self to '[%w_]+' %(pop3 connection expected, got "
          .. type(stranger) .. ": call it with a colon", text)
      end
      assert.match("bad self", claims.misuse(core.methods[name], nil, {}, print))
    end)
  end

  local of_connections = {
    "begin", "turn", "deliver", "cancel", "close", "trace", "info", "tls_info",
    "session_export", "welcome", "is_safe", "carried", "secured", "sent", "received",
  }
  for _, name in ipairs(of_connections) do
    it("of core." .. name .. " is one, too", function()
      for _, stranger in ipairs(strangers()) do
        assert.match("bad self", claims.misuse(core[name], stranger, "noop"))
      end
    end)
  end

  it("of a connection's metamethods is one, too", function()
    local meta = debug.getmetatable((connect()))
    for _, stranger in ipairs(strangers()) do
      assert.match("bad self", claims.misuse(meta.__index, stranger, "noop"))
      assert.match("bad self", claims.misuse(meta.__tostring, stranger))
    end
  end)

  it("is not a connection whose constructor failed", function()
    local conn, err = core.connect("POP3", false, ("x"):rep(64) .. ".invalid", 1,
      { connect_timeout = 1 })
    if conn then
      local state
      repeat state, err = core.turn(conn) until state == "failed"
      claims.misuse(core.turn, conn)
      core.close(conn)
      assert.is_true(core.info(conn).closed)
    end
    assert.equal("table", type(err))
  end)
end)

-- ------------------------------------------------------------ T51, generated

-- In a process of its own: all functions that there are, with receivers of
-- their own and of others, and arguments of all kinds, by a seed. It may do
-- anything but crash, and ends with a connection that works.
local GENERATED = [[
  local pop3 = require "pop3"
  local core = require "pop3.core"
  local host, port, seed, rounds = ...
  port, seed, rounds = tonumber(port), tonumber(seed), tonumber(rounds)

  local function random(n) -- Lehmer's, the same in every Lua
    seed = seed * 16807 % 2147483647
    return seed % n + 1
  end

  local OPTIONS = { timeout = 2, total_timeout = 2, connect_timeout = 2 }
  local function connect() return pop3.POP3(host, port, OPTIONS) end

  local hostile = setmetatable({}, {
    __index = function() error("index", 0) end,
    __newindex = function() error("newindex", 0) end,
    __tostring = function() error("tostring", 0) end,
    __call = function() error("call", 0) end,
    __len = function() error("len", 0) end,
    __eq = function() error("eq", 0) end,
    __lt = function() error("lt", 0) end,
    __concat = function() error("concat", 0) end,
    __pairs = function() error("pairs", 0) end,
    __ipairs = function() error("ipairs", 0) end,
    __name = "pop3.connection",
  })

  local conn = connect()
  local closed = connect()
  closed:close()
  local broken = connect()
  broken:set_debuglevel(1, function() error("broken off", 0) end)
  pcall(broken.noop, broken)
  local failed = select(2, pcall(conn.dele, conn, 99))
  local reading = connect()
  local reader = reading:retr_lines(1)
  local messages = connect():messages()
  local message = messages:next()
  local listing = pop3.listing({ "1 10", "2 20" }, { "1 a", "2 b" })
  local context = pop3.context { verify = false }
  local secret = pop3.secret { env = "HOME" }
  local file = io.tmpfile()
  local shut = io.tmpfile()
  shut:close()
  local loop = require("pop3.loop.poll").new()

  -- What a script can hold, and what it can make up.
  local values = {
    true, false, 0, 1, 2, -1, 3, 1.5, -0.0, 0/0, math.huge, -math.huge, 2^31, 2^32,
    2^53, 2^53 + 2, 2^63, 1e308, "", "1", "x", "a\0b", "a\r\nb", ("y"):rep(70000),
    "noop", "retr", "retr_to", "retr_many", "retr_many_into", "dele_many", "login",
    "listing", "stls", "command", "quit", "open", "sha256", "POP3", "POP3_SSL",
    host, "127.0.0.1", port, {}, { 1 }, { 1, 2, "x" }, { 1, 2, 3, 99 }, { {} }, { 0/0 },
    { hash = "sha256" }, { hash = "none" }, { top = 1, eol = "lf" }, { max_octets = 1 },
    { timeout = 1 }, { tls = "implicit" }, { verify = false }, { quit = true },
    { path = "" }, { path = "\0" }, { path = 1 }, { sink = print }, { wait = print },
    { sink = function() return 1 end }, { sink = function() return hostile end },
    { { 0, "r" } }, { { -1, "" } }, { { "x" } }, { cache = {} }, { cache = hostile },
    { transport = hostile }, { connector = hostile }, { session = "x" },
    { [1] = true, path = "x" }, { servers = {} }, hostile, print, error, function() end,
    function() return false end, function() return nil, hostile end,
    function(...) return ... end, function() error(hostile) end, coroutine.yield,
    coroutine.create(function() end), file, shut, io.stdout, conn, closed, broken, reading,
    context, secret, listing, failed, pop3.error_proto, reader, messages, message, loop,
    pop3, core, core.methods,
  }
  local COUNT = #values

  -- All functions, by their paths.
  local functions, seen = {}, {}
  local function collect(path, value, depth)
    if type(value) == "function" and not seen[value] then
      seen[value] = true
      functions[#functions + 1] = { path = path, f = value }
    elseif type(value) == "table" and depth < 3 and not seen[value] then
      seen[value] = true
      local keys = {}
      for key in next, value do
        if type(key) == "string" then keys[#keys + 1] = key end
      end
      table.sort(keys)
      for _, key in ipairs(keys) do
        collect(path .. "." .. key, rawget(value, key), depth + 1)
      end
    end
  end
  seen[values], seen[hostile] = true, true
  collect("pop3", pop3, 0)
  collect("core", core, 0)
  for _, name in ipairs { "call", "retrieve", "reader", "messages", "host", "loop.poll" } do
    collect(name, require("pop3." .. name), 0)
  end
  for name, value in pairs { connection = conn, context = context, secret = secret,
    listing = listing, reader = reader, messages = messages, message = message,
    error = failed, class = pop3.error_proto } do
    collect(name, debug.getmetatable(value), 0)
  end
  for _, name in ipairs { "each", "find", "octets", "without", "numbers" } do
    collect("listing." .. name, listing[name], 0)
  end
  collect("each", listing:each(), 0)

  pop3.restrict { servers = { host }, transport = true } -- and no files, no descriptors

  -- They wait for what nobody sends, or change the rules of the game.
  local LEFT_OUT = { ["pop3.setdefaulttimeout"] = true, ["pop3.safe.setdefaulttimeout"] = true,
    ["host.add_finder"] = true, ["core.grant"] = true, ["core.regrant"] = true }

  local function call(f, ...)
    local thread = coroutine.create(function(...) return f(...) end)
    return coroutine.resume(thread, ...)
  end

  local function is_slow(path, seconds) -- poll waits for a second at most
    return path == "core.poll" and type(seconds) == "number" and not (seconds <= 0.01)
  end

  local calls = 0
  for round = 1, rounds do
    for _, one in ipairs(functions) do
      local a, b = values[random(COUNT)], values[random(COUNT)]
      local c, d = values[random(COUNT)], values[random(COUNT)]
      -- Every other time with the receiver that it is for.
      if round % 2 == 0 and one.path ~= "core.connect" then a = conn end
      if one.path == "core.connect" and round % 2 == 0 then
        call(one.f, "POP3", b, host, port, d)
      elseif not LEFT_OUT[one.path] and not is_slow(one.path, b) then
        call(one.f, a, b, c, d, values[random(COUNT)])
      end
      calls = calls + 1
    end
    -- Turn what was begun, a little; then go on with one that is whole.
    for _ = 1, random(4) do call(core.turn, conn) end
    local info = core.info(conn)
    if info.closed or not pcall(core.methods.noop, conn) then
      for i = 1, COUNT do
        if values[i] == conn then
          core.close(conn)
          conn = connect()
          values[i] = conn
        end
      end
    end
    if round % 16 == 0 then collectgarbage() end
  end

  local last = connect()
  assert(last:noop():find "^%+OK")
  assert(#listing == 0 or #listing == 2)
  io.stderr:write(("%d functions, %d calls\n"):format(#functions, calls))
  os.exit(0, true)
]]

describe("T51 Every function, wrongly called,", function()
  for seed = 1, 4 do
    it("does no harm, seed " .. seed, function()
      local s = server.start { accepts = 0, keep = 0, record = 0, deadline = 110,
        complaints = true, connections = { SCRIPT } }
      local result = child.run { script = GENERATED, deadline = 100,
        arguments = { s.host, s.port, seed * 7919, 60 } }
      assert.equal(0, result.status, result.err)
      assert.truthy(tonumber(result.err:match "(%d+) functions") > 120, result.err)
      s:stop()
    end)
  end
end)

-- ------------------------------------------------------------ T64

describe("T64 An error object whose __tostring raises", function()
  local angry = setmetatable({}, { __tostring = function() error("tostring", 0) end })

  local ways = {
    sink = function(conn, raise) conn:retr_to(1, raise) end,
    ["retr_many's function"] = function(conn, raise) conn:retr_many({ 1 }, raise) end,
    ["a debug function"] = function(conn, raise)
      conn:set_debuglevel(2, raise)
      conn:noop()
    end,
    password = function(conn, raise) conn:pass_(raise) end,
    wait = function(_, raise, s)
      pop3.POP3(s.host, s.port, { timeout = 10, wait = raise })
    end,
  }
  for name, way in pairs(ways) do
    it("passes from a " .. name .. " as it is", function()
      local conn, s = connect()
      local ok, err = pcall(way, conn, function() error(angry) end, s)
      assert.is_false(ok)
      assert.is_true(rawequal(angry, err))
      conn:close()
    end)
  end

  it("is no reason that anybody shows", function()
    local conn = connect()
    local err = claims.fails("aborted", "aborted", conn.retr_to, conn, 1,
      function() return nil, angry end)
    assert.equal("the receiver wanted no more", tostring(err))
    core.cancel(conn, angry)
    assert.equal("the receiver wanted no more", tostring(core.aborted(angry)))
    assert.is_truthy(conn:noop())
    conn:close()
  end)

  it("is ours with other fields: tostring says something all the same", function()
    local err = claims.failure(pop3.POP3, "127.0.0.1", server.closed_port())
    for _, message in ipairs { angry, {}, print, true } do
      err.message = message
      assert.equal("pop3 error", tostring(err))
    end
    err.message = nil
    assert.equal("pop3 error", tostring(err))
    local to_string = debug.getmetatable(err).__tostring
    for _, stranger in ipairs(strangers()) do
      if type(stranger) ~= "table" then claims.misuse(to_string, stranger) end
    end
    assert.equal("pop3 error", to_string(angry))
  end)
end)
