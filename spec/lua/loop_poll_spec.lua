--- Several connections in one process: pop3.loop.poll, and `wait` by hand.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local files = require "spec.support.files"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

local Loop = require "pop3.loop.poll"

-- PUC 5.1 cannot yield through pcall, nor in a for's iterator: tasks here use
-- pop3.safe where they expect errors.
local lua = require "spec.support.lua"

after_each(server.stop_all)

local mails = {}
for n = 1, 20 do mails[n] = ("Subject: %d\r\n\r\n"):format(n) .. ("x"):rep(2000) .. "\r\n" end

local function start(more)
  local mailbox = { messages = mails, capa = { "PIPELINING", "UIDL", "TOP" } }
  for key, value in pairs(more or {}) do mailbox[key] = value end
  return server.start { connections = { { { mailbox = mailbox } } }, accepts = 0 }
end

local function all_messages(conn)
  local seen = 0
  local list = {}
  for n = 1, #mails do list[n] = n end
  conn:retr_many(list, function(n, text)
    seen = seen + 1
    assert(n == seen and text == mails[n])
  end)
  return seen
end

describe("pop3.loop.poll", function()
  it("is by its name the loop whose task runs, and else blocks", function()
    local s, quiet = start(), server.start { { { stall = true } } }
    local loop, seen = Loop.new(), nil
    loop:spawn(function()
      pop3.safe.POP3(quiet.host, quiet.port, { loop = "poll" })
    end)
    loop:spawn(function()
      local conn = pop3.POP3(s.host, s.port, { loop = "poll" })
      conn:login("me", "x")
      seen = all_messages(conn)
      conn:close()
      loop:stop("enough")
    end)
    claims.within(15, function()
      assert.equal("enough", select(2, pcall(loop.run, loop)))
    end)
    assert.equal(#mails, seen)
    local conn = pop3.POP3(s.host, s.port, { loop = "poll" })
    conn:login("me", "x")
    assert.equal(#mails, all_messages(conn))
    conn:close()
  end)

  it("runs 50 connections, with all that they can do", function()
    local s = start { stls = certificates.server "exact" }
    local loop, done = Loop.new(), 0
    for i = 1, 50 do
      loop:spawn(function(number)
        local options = { loop = loop, timeout = 30 }
        if number % 2 == 0 then
          options.tls, options.cafile = "starttls", certificates.cafile
          options.servername = certificates.name
        end
        local conn = pop3.POP3(s.host, s.port, options)
        local _, extras = conn:login("me", "x", { stat = true, listing = true })
        assert.equal(#mails, extras.stat.count)
        assert.equal(#mails, all_messages(conn))
        assert.equal(mails[3], (conn:retr_string(3)))
        local lines = conn:retr_lines(4)
        local count = 0
        while lines:next() do count = count + 1 end
        assert.equal(3, count)
        local list = conn:messages()
        assert.equal(mails[1], list:next():text())
        conn:dele(number % 20 + 1)
        conn:quit()
        done = done + 1
      end, i)
    end
    claims.within(60, loop.run, loop)
    assert.equal(50, done)
  end)

  it("is not held up by a dead server, which meets its own deadline", function()
    local dead = server.start { connections = { { { stall = true } } }, accepts = 0 }
    local s = start()
    local loop, order = Loop.new(), {}
    loop:spawn(function()
      local conn, message = pop3.safe.POP3(dead.host, dead.port,
        { loop = loop, connect_timeout = 0.6 })
      assert.is_nil(conn)
      order[#order + 1] = message
    end)
    for _ = 1, 3 do
      loop:spawn(function()
        local conn = pop3.POP3(s.host, s.port, { loop = loop })
        conn:login("me", "x")
        all_messages(conn)
        conn:quit()
        order[#order + 1] = "done"
      end)
    end
    claims.within(20, loop.run, loop)
    assert.same({ "done", "done", "done", "timeout" }, order)
  end)

  it("raises a task's error when the others have ended", function()
    local s = start()
    local loop, done = Loop.new(), false
    loop:spawn(function() error("mine", 0) end)
    loop:spawn(function()
      local conn = pop3.POP3(s.host, s.port, { loop = loop })
      conn:login("me", "x")
      conn:quit()
      done = true
    end)
    local ok, err = pcall(loop.run, loop)
    assert.same({ false, "mine" }, { ok, err })
    assert.is_true(done)
    loop:run() -- nothing is left of it
  end)

  it("raises the first of several errors, objects unchanged", function()
    local s = start { password = "another" }
    local loop = Loop.new()
    loop:spawn(function()
      local conn = pop3.POP3(s.host, s.port, { loop = loop })
      conn:login("me", "x")
    end)
    claims.fails("auth", "refused", loop.run, loop)
  end)

  it("outside of its tasks just blocks", function()
    local s = start()
    local loop = Loop.new()
    local conn = pop3.POP3(s.host, s.port, { loop = loop })
    conn:login("me", "x")
    assert.equal(#mails, all_messages(conn))
    -- Also in a coroutine that is none of its tasks.
    assert.equal(#mails, coroutine.wrap(function() return all_messages(conn) end)())
    conn:quit()
  end)

  it("may be used by a task that has coroutines of its own", function()
    local s = start()
    local loop, got = Loop.new(), {}
    loop:spawn(function()
      local conn = pop3.POP3(s.host, s.port, { loop = loop })
      conn:login("me", "x")
      local pieces = coroutine.wrap(function()
        conn:retr_to(1, function(chunk) if chunk then coroutine.yield(chunk) end end)
      end)
      for piece in pieces do got[#got + 1] = piece end
      conn:quit()
    end)
    claims.within(20, loop.run, loop)
    assert.equal(mails[1], table.concat(got))
  end)

  it("may iterate with for, but in PUC 5.1", function()
    if not lua.yields_anywhere then return pending("it cannot yield in an iterator") end
    local s = start()
    local loop, done = Loop.new(), 0
    for _ = 1, 2 do
      loop:spawn(function()
        local conn = pop3.POP3(s.host, s.port, { loop = loop })
        conn:login("me", "x")
        local octets = 0
        for line in conn:retr_lines(1) do octets = octets + #line + 2 end
        assert.equal(#mails[1], octets)
        for m in conn:messages() do assert.equal(mails[m.number], m:text()) end
        local ok = pcall(conn.retr_string, conn, 99)
        assert.is_false(ok)
        done = done + 1
      end)
    end
    claims.within(20, loop.run, loop)
    assert.equal(2, done)
  end)

  it("gives way where a task yields by itself", function()
    local loop, order = Loop.new(), {}
    for _, name in ipairs { "a", "b" } do
      loop:spawn(function()
        for i = 1, 3 do
          order[#order + 1] = name .. i
          coroutine.yield()
        end
      end)
    end
    claims.within(5, loop.run, loop)
    assert.same({ "a1", "b1", "a2", "b2", "a3", "b3" }, order)
  end)

  it("does so, too, while another task waits", function()
    local dead = server.start { connections = { { { stall = true } } }, accepts = 0 }
    local loop, turns, over = Loop.new(), 0, false
    loop:spawn(function()
      pop3.safe.POP3(dead.host, dead.port, { loop = loop, connect_timeout = 0.5 })
      over = true
    end)
    loop:spawn(function()
      while not over do
        turns = turns + 1
        coroutine.yield()
      end
    end)
    claims.within(10, loop.run, loop)
    assert.is_true(turns > 20, turns) -- poll(2) waits a second at most
  end)

  it("starts a task at once that another one spawns", function()
    local dead = server.start { connections = { { { stall = true } } }, accepts = 0 }
    local loop, waited = Loop.new(), nil
    loop:spawn(function()
      pop3.safe.POP3(dead.host, dead.port, { loop = loop, connect_timeout = 0.8 })
    end)
    loop:spawn(function()
      local now = pop3.now()
      loop:spawn(function() waited = pop3.now() - now end)
    end)
    loop:run()
    assert.is_true(waited < 0.4, waited)
  end)

  it("cannot be run by one of its tasks", function()
    local loop = Loop.new()
    local text
    loop:spawn(function() text = claims.misuse(loop.run, loop) end)
    claims.within(5, loop.run, loop)
    assert.truthy(text:find("run", 1, true))
  end)

  it("ends when a task closes a connection for which another one waits", function()
    local quiet = server.start { connections = { { "S: +OK", { eof = true } } }, accepts = 0 }
    local loop, conn, err = Loop.new(), nil, nil
    loop:spawn(function()
      conn = pop3.safe.POP3(quiet.host, quiet.port, { loop = loop, timeout = 30 })
      err = select(3, conn:noop())
    end)
    loop:spawn(function()
      while not (conn and conn:info().fd) do coroutine.yield() end
      for _ = 1, 10 do coroutine.yield() end
      conn:close()
    end)
    claims.within(5, loop.run, loop)
    assert.same({ "state", "closed" }, { err.kind, err.name })
  end)

  it("is any object with a method `wait`", function()
    for _, wrong in ipairs { 1, "loop", {}, print, { wait = 1 } } do
      local text = claims.misuse(function()
        local conn = pop3.POP3("127.0.0.1", 1, { loop = wrong })
        return conn
      end)
      assert.truthy(text:find("bad option 'loop'", 1, true), text)
      assert.truthy(text:find("loop_poll_spec.lua", 1, true), text)
    end
    local s, calls = start(), 0
    local mine = { wait = function(_, interests, deadline)
      calls = calls + 1
      return Loop.new():wait(interests, deadline)
    end }
    local conn = pop3.POP3(s.host, s.port, { loop = mine })
    conn:login("me", "x")
    conn:quit()
    assert.is_true(calls > 0)
  end)

  it("holds nothing of tasks and connections that have ended", function()
    local s = start()
    local loop, weak = Loop.new(), setmetatable({}, { __mode = "v" })
    weak[2] = loop:spawn(function()
      local conn = pop3.POP3(s.host, s.port, { loop = loop })
      weak[1] = conn
      conn:login("me", "x")
    end)
    loop:run()
    collectgarbage()
    collectgarbage()
    assert.same({}, weak)
  end)
end)

describe("A loop's wait", function()
  it("refuses interests that are none", function()
    local loop = Loop.new()
    for _, wrong in ipairs { { 1 }, { {} }, { { "x", "r" } }, { { 0 } }, { { 0 / 0, "r" } },
      { { 1e300, "r" } }, { { -1, "r" } }, { { 0, 1 } } } do
      claims.misuse(loop.wait, loop, wrong, 0)
    end
    claims.misuse(loop.wait, loop, 1, 0)
  end)
end)

describe("wait", function()
  it("is given the connection, what to wait for, and until when", function()
    local s = start()
    local calls = {}
    local blocking = Loop.new()
    local conn
    conn = pop3.POP3(s.host, s.port, { timeout = 7, wait = function(c, interests, deadline)
      calls[#calls + 1] = { c, deadline - pop3.now(), #interests }
      assert.is_true(#interests <= 3) -- none: the others have their turn
      for _, interest in ipairs(interests) do
        assert.equal("number", type(interest[1]))
        assert.truthy(({ r = true, w = true, rw = true })[interest[2]])
      end
      blocking:wait(interests, deadline)
    end })
    conn:login("me", "x")
    assert.equal(#mails, all_messages(conn))
    conn:quit()
    assert.is_true(#calls > 0)
    for _, call in ipairs(calls) do
      assert.equal(conn, call[1])
      assert.is_true((call[2] > 0 or call[3] == 0) and call[2] <= 30)
    end
  end)

  it("may return early, as often as it likes", function()
    local s = start()
    local conn = pop3.POP3(s.host, s.port, { wait = function() end })
    conn:login("me", "x")
    assert.equal(#mails, all_messages(conn))
    conn:quit()
  end)

  it("that returns late meets the deadline", function()
    local quiet = server.start { connections = { { "S: +OK", { eof = true } } } }
    local conn = pop3.POP3(quiet.host, quiet.port, { timeout = 0.2, wait = function(_, _, deadline)
      Loop.new():wait({}, deadline + 0.1)
    end })
    claims.fails("timeout", "idle", conn.noop, conn)
  end)

  it("that raises leaves the connection busy", function()
    local quiet = server.start { connections = { { "S: +OK", { eof = true } } } }
    local raising = false
    local conn = pop3.POP3(quiet.host, quiet.port, { wait = function(_, interests, deadline)
      if raising then error("no more", 0) end
      Loop.new():wait(interests, deadline)
    end })
    raising = true
    local ok, err = pcall(conn.noop, conn)
    assert.same({ false, "no more" }, { ok, err })
    claims.fails("state", "busy", conn.noop, conn)
    conn:close()
  end)

  it("that closes the connection ends the call", function()
    local quiet = server.start { connections = { { "S: +OK", { eof = true } } } }
    local closing = false
    local conn
    conn = pop3.POP3(quiet.host, quiet.port, { wait = function(_, interests, deadline)
      if closing then return conn:close() end
      Loop.new():wait(interests, deadline)
    end })
    closing = true
    claims.fails("state", "closed", conn.noop, conn)
  end)

  it("is a function", function()
    for _, wrong in ipairs { 1, "x", {}, true } do
      claims.misuse(pop3.POP3, "127.0.0.1", 1, { wait = wrong })
    end
  end)
end)

describe("A slow sink in a loop", function()
  -- A pipe that nobody reads before `gate` is opened.
  local function slow_pipe()
    local gate, out = sinks.path(), sinks.path()
    assert(os.execute("mkfifo -m 600 " .. files.quote(gate)))
    local pipe = io.popen(("read x < %s; cat > %s"):format(files.quote(gate),
      files.quote(out)), "w")
    return pipe, function()
      local file = assert(io.open(gate, "w"))
      file:write("go\n")
      file:close()
      os.remove(gate)
    end, out
  end

  it("does not hold the other connections up, and loses nothing", function()
    local large = ("pipe\r\n"):rep(200000)
    local slow = start { messages = { large } }
    local s = start()
    local pipe, open_gate, out = slow_pipe()
    local loop, order = Loop.new(), {}
    loop:spawn(function()
      local conn = pop3.POP3(slow.host, slow.port, { loop = loop, timeout = 1 })
      conn:login("me", "x")
      assert.equal(#large, conn:retr_to(1, pipe))
      assert.equal(1, (conn:stat()))
      conn:quit()
      order[#order + 1] = "slow"
    end)
    local left = 5
    for _ = 1, 5 do
      loop:spawn(function()
        local conn = pop3.POP3(s.host, s.port, { loop = loop })
        conn:login("me", "x")
        all_messages(conn)
        conn:quit()
        order[#order + 1] = "fast"
        left = left - 1
        if left == 0 then open_gate() end -- only now there is a reader
      end)
    end
    claims.within(30, loop.run, loop)
    pipe:close()
    assert.same({ "fast", "fast", "fast", "fast", "fast", "slow" }, order)
    assert.is_true(large == sinks.take(out))
  end)

  for _, how in ipairs { "alone", "in a loop" } do
    it("does not outlast total_timeout, " .. how, function()
      local slow = start { messages = { ("pipe\r\n"):rep(200000) } }
      local pipe, open_gate, out = slow_pipe()
      local loop = Loop.new()
      local function fetch()
        local conn = pop3.safe.POP3(slow.host, slow.port, {
          loop = how == "in a loop" and loop or nil, total_timeout = 0.5 })
        conn:login("me", "x")
        local octets, message, err = conn:retr_to(1, pipe)
        assert.is_nil(octets)
        assert.same({ "timeout", "total" }, { message, err.name })
        assert.is_true(conn:info().closed)
      end
      claims.within(10, function()
        if how == "alone" then return fetch() end
        loop:spawn(fetch)
        loop:run()
      end)
      open_gate()
      pipe:close()
      sinks.take(out)
    end)
  end

  it("may be a path: what is written is whole, and durable", function()
    local s = start()
    local loop, paths = Loop.new(), {}
    for i = 1, 5 do
      paths[i] = sinks.path()
      loop:spawn(function()
        local conn = pop3.POP3(s.host, s.port, { loop = loop })
        conn:login("me", "x")
        assert.equal(#mails[i], conn:retr_to(i, { path = paths[i] }))
        local m = conn:messages():next()
        assert.equal(#mails[1], m:save(paths[i] .. "x"))
        conn:quit()
      end)
    end
    claims.within(30, loop.run, loop)
    for i = 1, 5 do
      assert.equal(mails[i], sinks.take(paths[i]))
      assert.equal(mails[1], sinks.take(paths[i] .. "x"))
    end
  end)
end)
