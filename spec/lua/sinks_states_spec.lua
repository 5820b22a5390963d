--- What a connection is good for after a sink that gave up, raised, closed it,
-- came back into it, or was never heard of again (T54, T60).

local claims = require "spec.support.claims"
local descriptors = require "spec.support.descriptors"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

local MIB = 1024 * 1024

local lua = require "spec.support.lua"
local unpack = lua.unpack

after_each(server.stop_all)

local mails = {}
for i = 1, 8 do
  mails[i] = ("Subject: %d\r\n\r\n"):format(i) .. ("line %d\r\n"):format(i):rep(500)
end

local function connect(s, options)
  options = options or {}
  options.timeout = options.timeout or 20
  return pop3.POP3(s.host, s.port, options)
end

--- A connection, logged in, to a mailbox of these messages.
local function open(options, messages)
  local s = server.start { { { mailbox = {
    messages = messages or mails, open = true, capa = { "PIPELINING", "UIDL", "TOP" },
  } } } }
  return connect(s, options), s
end

local function busy(conn)
  claims.fails("state", "busy", conn.noop, conn)
  assert.is_false(conn:info().closed)
end

local function usable(conn) assert.equal(#mails, (conn:stat())) end

--- A server that sends so many octets in reply to RETR, then answers a NOOP.
local function talkative(size, piece)
  piece = piece or ("x"):rep(1022) .. "\r\n"
  return { "S: +OK", "C: RETR 1", "S: +OK", { send = piece, times = size / #piece },
    "S: .", "C: NOOP", "S: +OK still here" }
end

-- ------------------------------------------------------------ every receiver

--- Ways to receive in which a Lua function of the caller's is called in the
-- middle: start(conn, f) begins, and calls f() for what arrives.
local ways = {
  { name = "retr_to", run = function(conn, f)
    return conn:retr_to(1, function(chunk, ...) if chunk then return f(chunk, ...) end end)
  end },
  { name = "retr_many, at a message", run = function(conn, f)
    return conn:retr_many({ 1, 2, 3, 4, 5, 6, 7, 8 }, f)
  end },
  { name = "retr_many, for a sink", run = function(conn, f)
    return conn:retr_many({ 1, 2, 3, 4, 5, 6, 7, 8 }, {
      sink = function() return f() end })
  end, no_verdict = true },
  { name = "retr_many, in a sink", run = function(conn, f)
    return conn:retr_many({ 1, 2, 3, 4, 5, 6, 7, 8 }, {
      sink = function() return function(chunk) if chunk then return f() end end end })
  end },
  { name = "retr_many, at a message's end", run = function(conn, f)
    return conn:retr_many({ 1, 2, 3, 4, 5, 6, 7, 8 }, {
      sink = function() end, done = f })
  end },
  { name = "retr_many, at a sink's end", run = function(conn, f)
    return conn:retr_many({ 1, 2, 3, 4, 5, 6, 7, 8 }, {
      sink = function() return function(chunk) if not chunk then return f() end end end })
  end },
  { name = "debug output", no_verdict = true, run = function(conn, f)
    conn:set_debuglevel(2, f)
    return conn:retr_string(1)
  end },
}

for _, way in ipairs(ways) do
  describe("In " .. way.name .. ", a function", function()
    local conn
    before_each(function() conn = open { pipelining = true } end)
    after_each(function() conn:close() end)

    it("that raises leaves the connection busy until it is closed", function()
      local ok, err = pcall(way.run, conn, function() error("my own", 0) end)
      assert.is_false(ok)
      assert.equal("my own", err)
      conn:set_debuglevel(0)
      busy(conn)
      busy(conn)
      conn:close()
      claims.fails("state", "closed", conn.noop, conn)
    end)

    it("that closes the connection ends the call with a clear error", function()
      local err = claims.failure(way.run, conn, function() conn:close() end)
      assert.same({ "state", "closed" }, { err.kind, err.name })
      claims.fails("state", "closed", conn.noop, conn)
      conn:close()
    end)

    it("that comes back into the connection gets an error, and harms nothing", function()
      local met = 0
      way.run(conn, function()
        for _, method in ipairs { "noop", "stat", "quit", "capabilities", "listing" } do
          local err = claims.fails("state", "busy", conn[method], conn)
          assert.truthy(tostring(err):find(method, 1, true), tostring(err))
        end
        claims.fails("state", "busy", conn.retr_string, conn, 1)
        claims.fails("state", "busy", conn.retr_many, conn, { 1 }, print)
        claims.fails("state", "busy", conn.retr_lines, conn, 1)
        met = met + 1
      end)
      assert.is_true(met > 0)
      conn:set_debuglevel(0)
      usable(conn)
    end)

    it("that does not catch that leaves it busy", function()
      local err = claims.failure(way.run, conn, function() conn:noop() end)
      assert.same({ "state", "busy" }, { err.kind, err.name })
      conn:set_debuglevel(0)
      busy(conn)
    end)

    it("may yield", function()
      local task = coroutine.create(function()
        way.run(conn, function() coroutine.yield("mine") end)
        return "done"
      end)
      local yields = 0
      while true do
        local ok, what = coroutine.resume(task)
        assert.is_true(ok, tostring(what))
        if what == "done" then break end
        assert.equal("mine", what)
        busy(conn)
        yields = yields + 1
      end
      assert.is_true(yields > 0)
      conn:set_debuglevel(0)
      usable(conn)
    end)

    it("may collect garbage", function()
      way.run(conn, function()
        collectgarbage()
        collectgarbage()
      end)
      conn:set_debuglevel(0)
      usable(conn)
    end)

    if not way.no_verdict then
      it("ends the call by false, or by nil and a reason", function()
        local err = claims.fails("aborted", "aborted", way.run, conn,
          function() return false end)
        assert.is_nil(err.class)
        usable(conn)
        err = claims.fails("aborted", "aborted", way.run, conn,
          function() return nil, "enough of it" end)
        assert.equal("enough of it", tostring(err))
        err = claims.fails("aborted", "aborted", way.run, conn,
          function() return false, "and no more" end)
        assert.equal("and no more", tostring(err))
        usable(conn)
        for _, reason in ipairs { 42, {}, print, true, "a\27[31m" } do
          err = claims.fails("aborted", "aborted", way.run, conn,
            function() return nil, reason end)
          assert.is_nil(tostring(err):find("\27", 1, true))
        end
        usable(conn)
      end)

      it("goes on by anything else", function()
        for _, verdict in ipairs { true, 1, 0, "", {} } do
          way.run(conn, function() return verdict, "no reason" end)
        end
        way.run(conn, function() return nil, nil end)
        usable(conn)
      end)
    end

    it("may be abandoned by a coroutine; the collector closes, sends nothing (T60)", function()
      local before = descriptors.held()
      local other, s = open { pipelining = true }
      local task = coroutine.wrap(function()
        way.run(other, function() coroutine.yield() end)
      end)
      task()
      assert.equal(before + 2, descriptors.held()) -- its socket, the pipe of s
      other, task = nil, nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      local commands = s:report().connections[1].commands
      assert.equal(before, descriptors.held())
      for _, command in ipairs(commands) do
        assert.truthy(command:find("^RETR %d$"), command)
      end
    end)
  end)
end

describe("A path in a coroutine that is abandoned", function()
  it("is removed with it (T60)", function()
    local path = sinks.path()
    local s = server.start { { "S: +OK", "C: RETR 1", { send = "+OK\r\nbeginning\r\n" },
      { eof = true } } }
    local conn
    local task = coroutine.create(function()
      conn = connect(s, { wait = function() coroutine.yield("waits") end })
      conn:retr_to(1, { path = path })
    end)
    repeat
      local _, what = coroutine.resume(task)
      assert.equal("waits", what)
      local file = io.open(path)
      local size = file and file:seek("end")
      if file then file:close() end
    until size and size > 0
    conn, task = nil, nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.is_nil(io.open(path))
    assert.same({ "RETR 1" }, s:report().connections[1].commands)
  end)
end)

describe("A path for a connection that its function closed", function()
  it("is not left behind", function()
    local path = sinks.path()
    local conn = open { pipelining = true }
    claims.fails("state", "closed", conn.retr_many, conn, { 1, 2, 3 }, {
      sink = function(n)
        if n == 2 then
          conn:close()
          return { path = path }
        end
      end,
    })
    assert.is_nil(io.open(path))
  end)
end)

describe("A Lua file that is closed while the server is waited for", function()
  it("ends the call; nothing goes into the next file with its number", function()
    local path, other = sinks.path(), sinks.path()
    local s = server.start { { { mailbox = { messages = mails, open = true } } } }
    local blocking = require("pop3.loop.poll").new()
    local file, intruder
    local conn = connect(s, { wait = function(_, interests, deadline)
      if file then
        file:close()
        file, intruder = nil, assert(io.open(other, "wb"))
      end
      blocking:wait(interests, deadline)
    end })
    file = assert(io.open(path, "wb"))
    local err = claims.failure(conn.retr_to, conn, 1, file)
    assert.is_truthy(err.kind == "io", err.kind)
    intruder:close()
    assert.equal("", sinks.take(other))
    assert.equal("", sinks.take(path))
    conn:close()
  end)
end)

-- ------------------------------------------------------------ what is read out

describe("A call that is ended early", function()
  local function stop(conn, way)
    claims.fails("aborted", "aborted", function()
      return way(conn, function() return false end)
    end)
  end

  local one = {
    retr_to = function(conn, f) conn:retr_to(1, f) end,
    ["retr_many's sink"] = function(conn, f)
      conn:retr_many({ 1 }, { sink = function() return f end })
    end,
  }

  for name, way in pairs(one) do
    it("reads out up to 1 MiB: " .. name, function()
      server.talk({ talkative(MIB - 65536) }, function(conn)
        stop(conn, way)
        assert.equal("+OK still here", conn:noop())
      end)
    end)

    it("gives up on more: " .. name, function()
      server.talk({ complaints = true, connections = { talkative(64 * MIB) } }, function(conn)
        stop(conn, way)
        assert.is_true(conn:info().closed)
        claims.fails("aborted", "aborted", conn.noop, conn)
      end)
    end)
  end

  it("gives up on an iterator's lines, however empty", function()
    for _, line in ipairs { "\r\n", "..\r\n", "x\r\n", ("y"):rep(65536) } do
      local piece = line:rep(#line < 5 and 16384 or 1)
      local s = server.start { complaints = true, connections = { { "S: +OK",
        "C: RETR 1", "S: +OK", "S: first", { send = piece, times = 1e9 } } } }
      local conn = connect(s, { total_timeout = 10 })
      local lines = conn:retr_lines(1)
      assert.equal("first", lines:next())
      claims.within(5, lines.close, lines)
      assert.is_true(conn:info().closed)
      s:stop()
    end
  end)

  it("has had the lines that were here, though the next one never ends", function()
    local s = server.start { complaints = true, accepts = 0, connections = { {
      "S: +OK", "C: RETR 1", "S: +OK", "S: first",
      { send = ("y"):rep(65536), times = 1e9 } } } }
    for _ = 1, 30 do
      local conn = connect(s, { total_timeout = 10 })
      local before = claims.data()
      local lines = conn:retr_lines(1)
      assert.equal("first", lines:next())
      assert.is_true(claims.data() - before < 8 * MIB)
      lines:close()
    end
    s:stop()
  end)

  it("sends nothing more", function()
    for _, pipelining in ipairs { true, false } do
      local conn, s = open { pipelining = pipelining, max_inflight = 3 }
      claims.fails("aborted", "aborted", conn.retr_many, conn, { 1, 2, 3, 4, 5, 6, 7, 8 },
        function() return false end)
      usable(conn)
      conn:close()
      local expected = pipelining and { "RETR 1", "RETR 2", "RETR 3", "STAT" }
        or { "RETR 1", "RETR 2", "STAT" } -- queued when the first was complete
      assert.same(expected, s:report().connections[1].commands)
    end
  end)

  it("is still aborted when the server goes away meanwhile", function()
    server.talk({ { "S: +OK", "C: RETR 1", { send = "+OK\r\nline\r\n" }, { shutdown = true } } },
      function(conn)
        local err = claims.fails("aborted", "aborted", conn.retr_to, conn, 1,
          function() return nil, "mine" end)
        assert.equal("mine", tostring(err))
        assert.is_true(conn:info().closed)
      end)
  end)
end)

describe("A function that is a sink", function()
  it("is told of the end once, whatever the end", function()
    for _, case in ipairs {
      { steps = { "S: +OK", "S: a", "S: ." }, calls = { "a\r\n", false } },
      { steps = { "S: +OK", "S: a", { shutdown = true } }, calls = { "a\r\n", "closed" } },
      { steps = { "S: -ERR no" }, calls = { "-ERR no" } },
    } do
      local calls, errors = {}, {}
      server.talk({ { "S: +OK", "C: RETR 1", unpack(case.steps) } }, function(conn)
        pcall(conn.retr_to, conn, 1, function(chunk, message, err)
          calls[#calls + 1] = chunk or message or false
          errors[#errors + 1] = err
        end)
      end)
      assert.same(case.calls, calls)
      assert.equal(case.calls[#case.calls] and 1 or 0, #errors)
    end
  end)

  it("may refuse a message that is complete; the connection goes on", function()
    local conn = open()
    local err = claims.fails("aborted", "aborted", conn.retr_to, conn, 1,
      function(chunk) if not chunk then return nil, "the disk is full" end end)
    assert.equal("the disk is full", tostring(err))
    usable(conn)
    claims.fails("aborted", "aborted", conn.retr_to, conn, 1,
      function(chunk) if not chunk then return false end end)
    usable(conn)
    conn:quit()
  end)

  it("that raises when it is told of the end breaks off nothing", function()
    local conn = open()
    local ok, err = pcall(conn.retr_to, conn, 1, function(chunk)
      if not chunk then error("late", 0) end
    end)
    assert.same({ false, "late" }, { ok, err })
    usable(conn)
    conn:quit()
  end)

  it("in pop3.safe gets nil, message, err as well as its caller", function()
    local s = server.start { { "S: +OK", "C: RETR 1", "S: +OK", { shutdown = true } } }
    local conn = pop3.safe.POP3(s.host, s.port, { timeout = 20 })
    local told
    local octets, message, err = conn:retr_to(1, function(...) told = { ... } end)
    assert.is_nil(octets)
    assert.same({ "closed", "eof" }, { message, err.name })
    assert.is_nil(told[1])
    assert.equal("closed", told[2])
    assert.equal(err, told[3])
    conn:close()
  end)
end)

-- ------------------------------------------------------------ iterators

describe("An iterator", function()
  for _, method in ipairs { "retr_lines", "retr_chunks" } do
    describe(method, function()
      local conn
      before_each(function() conn = open() end)
      after_each(function() conn:close() end)

      it("keeps the connection busy until its end, and says how to end it", function()
        local it = conn[method](conn, 1)
        local err = claims.fails("state", "busy", conn.noop, conn)
        assert.truthy(tostring(err):find(method, 1, true))
        assert.truthy(tostring(err):find("close()", 1, true))
        while it:next() do
          claims.fails("state", "busy", conn.stat, conn)
        end
        usable(conn)
        assert.is_nil(it:next())
        assert.equal(#mails[1], it.octets)
      end)

      it("is a function for a for loop, and leaves the connection usable", function()
        local got = {}
        for piece in conn[method](conn, 2) do got[#got + 1] = piece end
        local ending = method == "retr_lines" and "\r\n" or ""
        assert.equal(mails[2], table.concat(got, ending) .. ending)
        usable(conn)
      end)

      it("drains what is left when it is closed, as often as it is", function()
        local it = conn[method](conn, 1)
        it:next()
        it:close()
        it:close()
        usable(conn)
        assert.is_nil(it.octets)
        it = conn[method](conn, 1)
        it:close()
        usable(conn)
      end)

      it("that is left by break in Lua 5.4 closes itself", function()
        if not lua.closes then return pending("it does from Lua 5.4 on") end
        for _ in conn[method](conn, 1) do break end -- luacheck: ignore
        usable(conn)
        pcall(function() for _ in conn[method](conn, 1) do error("out") end end)
        usable(conn)
      end)

      it("ends with an error when the connection is closed", function()
        local it = conn[method](conn, 1)
        conn:close()
        local err = claims.failure(function() while it:next() do end end)
        assert.equal("closed", err.name)
        it:close()
      end)

      it("may be closed when the connection is closed", function()
        local it = conn[method](conn, 1)
        it:next()
        conn:close()
        it:close()
        claims.fails("state", "closed", conn.noop, conn)
      end)

      it("that was forgotten holds no connection", function()
        local before = descriptors.held()
        local other, s = open()
        local it = other[method](other, 1)
        it:next()
        other, it = nil, nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        s:report()
        assert.equal(before, descriptors.held())
      end)

      it("repeats its error; it never ends well after it", function()
        local s = server.start { { "S: +OK", "C: RETR 1", { send = "+OK\r\na\r\n" },
          { shutdown = true } } }
        local other = connect(s)
        local it = other[method](other, 1)
        local first = claims.failure(function() while it:next() do end end)
        assert.same({ "closed", "eof" }, { first.kind, first.name })
        assert.equal(first, it.error)
        for _ = 1, 2 do
          assert.equal(first, claims.failure(it.next, it))
          assert.equal(first, claims.failure(it))
        end
        it:close()
        other:close()
      end)

      it("in pop3.safe ends with nil, message, err, again and again", function()
        local s = server.start { { "S: +OK", "C: RETR 1", { send = "+OK\r\na\r\n" },
          { shutdown = true }, { eof = true } }, { "S: +OK", "C: RETR 1", "S: -ERR no" } }
        local other = pop3.safe.POP3(s.host, s.port, { timeout = 20 })
        local it = other[method](other, 1)
        local piece, message, err
        repeat piece, message, err = it:next() until not piece
        assert.same({ "closed", "eof" }, { message, err.name })
        assert.equal("closed", (select(2, it:next())))
        other:close()
        other = pop3.safe.POP3(s.host, s.port, { timeout = 20 })
        it, message, err = other[method](other, 1)
        assert.is_nil(it)
        assert.same({ "-ERR no", "refused" }, { message, err.name })
        other:close()
      end)

      it("closed by its own debug output ends quietly", function()
        local it
        local closing = false
        conn:set_debuglevel(2, function()
          if closing then
            closing = false
            it:close()
          end
        end)
        it = conn[method](conn, 1)
        closing = true
        local ok, err = pcall(function() while it:next() do end end)
        if not ok then assert.equal("table", type(err), tostring(err)) end
        conn:set_debuglevel(0)
        usable(conn)
      end)
    end)
  end

  it("hands empty lines out as such", function()
    server.talk({ { "S: +OK", "C: RETR 1", { send = "+OK\r\n\r\n\r\n..\r\n\r\n.\r\n" } } },
      function(conn)
        local got = {}
        for line in conn:retr_lines(1) do got[#got + 1] = line end
        assert.same({ "", "", ".", "" }, got)
      end)
  end)

  it("hands lines out as they arrive, not at the end", function()
    server.talk({ { "S: +OK", "C: RETR 1", { send = "+OK\r\none\r\ntwo\r\nthr" },
      { eof = true } } }, function(conn)
      local lines = conn:retr_lines(1)
      assert.equal("one", lines:next())
      assert.equal("two", lines:next())
      conn:close()
    end)
  end)
end)
