--- threats.md: what the network, signals and the process around us can do.
-- Whatever would disturb the process that runs the specs happens in a child.
local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local claims = require "spec.support.claims"
local pop3 = require "pop3"
local server = require "spec.support.server"

local SIGINT = 2
local cafile = certificates.cafile

after_each(server.stop_all)

teardown(child.clean)

local function connect(s, options)
  options = options or {}
  options.timeout = options.timeout or 20
  return pop3.POP3(s.host, s.port, options)
end

-- A name goes to a helper thread. This one is found where nothing says what
-- localhost is, too: a bare chroot has no /etc/hosts.
local NAMES = "127.0.0.1"

--- Run a script in a child; it must end well.
-- @return what it wrote
local function run(request)
  local result = child.run(request)
  assert.are.equal(0, result.status, result.out .. result.err)
  return result.out, result
end

-- ------------------------------------------------------------------- T06

describe("The end of the stream", function()
  local reply = "+OK 7 octets\r\nA\r\n..B\r\n\r\n.\r\n"

  it("T06 inside a message is an error, after each of its octets", function()
    local connections = {}
    for size = 0, #reply - 1 do
      connections[#connections + 1] =
        {"S: +OK ready", "C: RETR 1", {send = reply:sub(1, size)}}
    end
    local s = server.start{connections = connections}
    for _ = 1, #connections do
      local conn = connect(s)
      local err = claims.fails("closed", "eof", conn.retr, conn, 1)
      assert.are.equal("-ERR EOF", tostring(err))
      claims.fails("closed", "eof", conn.noop, conn)
      conn:close()
    end
    s:report()
  end)

  it("T06 inside a listing or a status line is an error, too", function()
    for _, row in ipairs{{"list", "+OK\r\n1 1\r\n"}, {"uidl", "+OK\r\n1 a\r"},
                         {"noop", "+OK"}, {"stat", "+OK 1 2"},
                         {"list", "+OK\r\n1 1\r\n."}, {"noop", ""},
                         {"quit", "+OK"}, {"capabilities", "+OK\r\nTOP\r\n"}} do
      local s = server.start{
        {"S: +OK ready", {expect = true}, {send = row[2]}},
      }
      local conn = connect(s)
      claims.fails("closed", "eof", conn[row[1]], conn)
      conn:close()
      s:report()
    end
  end)

  it("T06 in place of a greeting is an error", function()
    for _, octets in ipairs{"", "+", "+OK ready", "+OK ready\r"} do
      local s = server.start{{{send = octets}}}
      claims.fails("closed", "eof", connect, s)
      s:report()
    end
  end)
end)

-- ------------------------------------------------------------------- T08

describe("A connection that is reset", function()
  it("T08 is an error of kind io", function()
    local s = server.start{{"S: +OK ready", "C: NOOP", {reset = true}}}
    local conn = connect(s)
    local err = claims.failure(conn.noop, conn)
    assert.are.equal("io", err.kind)
    assert.is_truthy(err.errno)
    claims.fails("io", err.name, conn.noop, conn)
    conn:close()
    s:report()
  end)

  local script = [[
    local pop3 = require "pop3"
    local port, cafile = ...
    local options = {timeout = 20, cafile = cafile}
    local open = cafile and pop3.POP3_SSL or pop3.POP3
    local conn = open("127.0.0.1", tonumber(port), options)
    -- More than any socket buffer takes.
    local ok, err = pcall(conn.command, conn, "XBIG " .. ("x"):rep(2 ^ 25))
    print(ok, err.kind)
    ok, err = pcall(conn.noop, conn)
    print(ok, err.kind)
    conn:close()
  ]]

  it("T08 while we write does not kill the process", function()
    local s = server.start{
      connections = {{"S: +OK ready", {read = 10}, {reset = true}}},
      keep = 1000,
    }
    local out = run{script = script, arguments = {s.port}}
    assert.are.equal("false\tio\nfalse\tio\n", out)
    s:report()
  end)

  it("T08 that is a broken pipe does not kill the process", function()
    local s = server.start{{"S: +OK ready", {eof = true}}}
    local mark = os.tmpname()
    os.remove(mark)
    local out = run{
      script = [[
        local port, mark = ...
        local conn = require "pop3".POP3("127.0.0.1", tonumber(port))
        io.open(mark, "w"):close()
        local ok, err = pcall(conn.noop, conn)
        print(ok, err.kind)
        conn:close()
      ]], arguments = {s.port, mark}, shim = true, env = {SHIM_PIPE = mark},
    }
    os.remove(mark)
    -- Has the peer answered our end with its own by now?
    assert.is_truthy(out == "false\tio\n" or out == "false\tclosed\n", out)
    s:report()
  end)

  it("T08 while TLS writes does not kill the process", function()
    local s = server.start{
      connections = {{{tls = certificates.server "ip"}, "S: +OK ready",
                      {read = 10}, {reset = true}}},
      keep = 1000,
    }
    local out = run{script = script, arguments = {s.port, cafile}}
    assert.are.equal("false\tio\nfalse\tio\n", out)
    s:report()
  end)

  it("T08 between two commands does not kill the process", function()
    local s = server.start{{"S: +OK ready", "C: NOOP", "S: +OK",
                            {reset = true}}}
    local out = run{
      script = [[
        local conn = require "pop3".POP3("127.0.0.1", tonumber((...)),
                                         {timeout = 20})
        conn:noop()
        local kinds = {io = true, closed = true}
        for _ = 1, 3 do
          local ok, err = pcall(conn.noop, conn)
          print(ok, kinds[err.kind])
        end
      ]], arguments = {s.port},
    }
    assert.are.equal(("false\ttrue\n"):rep(3), out)
    s:report()
  end)
end)

-- ------------------------------------------------------------- T26, Ctrl-C

describe("A signal", function()
  local session = [[
    local pop3 = require "pop3"
    local port, cafile = ...
    local options = {timeout = 20, cafile = cafile,
                     servername = cafile and "mail.example.org"}
    local open = cafile and pop3.POP3_SSL or pop3.POP3
    local conn = open("localhost", tonumber(port), options)
    conn:user("name")
    conn:pass_("secret")
    local sum = 0
    for n = 1, 3 do
      local resp, lines, octets = conn:retr(n)
      print(resp, #lines, octets, lines[#lines])
    end
    print(conn:stat())
    conn:quit()
  ]]

  local function mailbox(tls)
    local messages = {}
    for n = 1, 3 do
      messages[n] = ("Subject: %d\r\n\r\n"):format(n)
                    .. ("a line of the message\r\n"):rep(20000)
    end
    local steps = {{mailbox = {messages = messages}}}
    if tls then table.insert(steps, 1, {tls = tls}) end
    return server.start{steps, steps}
  end

  for name, tls in pairs{["in clear"] = false, ["by TLS"] = true} do
    it("T26 every millisecond changes nothing, " .. name, function()
      local s = mailbox(tls and certificates.server "exact")
      local arguments = {s.port, tls and cafile or nil}
      local calm = run{script = session, arguments = arguments, shim = true,
                       env = {SHIM_NAMES = NAMES}}
      local stormy, result = run{
        script = session, arguments = arguments, shim = true,
        env = {SHIM_NAMES = NAMES, SHIM_ALARM = "1000"},
      }
      assert.are.equal(calm, stormy, result.err)
      s:report()
    end)
  end

  it("T26 every millisecond does not shift a deadline", function()
    local s = server.start{{"S: +OK ready", {stall = true}}}
    local _, result = run{
      script = [[
        local pop3 = require "pop3"
        local conn = pop3.POP3("127.0.0.1", tonumber((...)), {timeout = 0.5})
        local ok, err = pcall(conn.noop, conn)
        assert(not ok and err.kind == "timeout", tostring(err))
        conn:close()
      ]], arguments = {s.port}, shim = true, env = {SHIM_ALARM = "1000"},
    }
    assert.is_true(result.seconds >= 0.5 and result.seconds < 5)
    s:report()
  end)

  --- Block a child in `body`, then send it Ctrl-C's signal.
  local function interrupt(body, s, env)
    local result = child.run{
      script = [[
        local pop3 = require "pop3"
        local port, cafile = tonumber((...)), select(2, ...)
        local function ready()
          io.stdout:write("READY\n")
          io.stdout:flush()
        end
      ]] .. body, arguments = {s.port, cafile}, signal = SIGINT,
      shim = env ~= nil, env = env, deadline = 20,
    }
    assert.is_truthy(result.err:find("interrupted!", 1, true), result.err)
    assert.are.equal(1, result.status)
    assert.is_true(result.after < 5, "took " .. tostring(result.after))
    s:stop()
  end

  local stalled = {"S: +OK ready", {stall = true}}
  local rows = {
    {"waiting for a reply", stalled, [[
      local conn = pop3.POP3("127.0.0.1", port)
      ready()
      conn:retr(1)
    ]]},
    {"inside a message", {"S: +OK ready", {expect = true}, "S: +OK", "S: line",
                          {stall = true}}, [[
      local conn = pop3.POP3("127.0.0.1", port)
      ready()
      conn:retr(1)
    ]]},
    {"waiting for a greeting", {{stall = true}}, [[
      ready()
      pop3.POP3("127.0.0.1", port)
    ]]},
    {"in a handshake", {{stall = true}}, [[
      ready()
      pop3.POP3_SSL("127.0.0.1", port, {cafile = cafile})
    ]]},
    {"while it writes", stalled, [[
      local conn = pop3.POP3("127.0.0.1", port)
      ready()
      conn:command("X " .. ("x"):rep(2 ^ 26))
    ]]},
    {"while a name is looked up", stalled, [[
      ready()
      pop3.POP3("slow.example", port)
    ]], {SHIM_SLOW = "15000"}},
  }
  for _, row in ipairs(rows) do
    it("Ctrl-C ends a blocked call at once: " .. row[1], function()
      interrupt(row[3], server.start{connections = {row[2]}}, row[4])
    end)
  end

  it("Ctrl-C between work and wait is not lost", function()
    local s = server.start{{"S: +OK ready", {stall = true}}}
    local mark = os.tmpname()
    os.remove(mark)
    local result = child.run{
      script = [[
        local port, mark = ...
        local conn = require "pop3".POP3("127.0.0.1", tonumber(port))
        io.open(mark, "w"):close()
        conn:noop()
      ]], arguments = {s.port, mark}, shim = true,
      env = {SHIM_INTERRUPT = mark}, deadline = 20,
    }
    os.remove(mark)
    assert.is_truthy(result.err:find("interrupted!", 1, true), result.err)
    s:report()
  end)

  it("Ctrl-C leaves a connection that refuses to go on", function()
    local s = server.start{{"S: +OK ready", {stall = true}}}
    local result = child.run{
      script = [[
        local pop3 = require "pop3"
        local conn = pop3.POP3("127.0.0.1", tonumber((...)))
        io.stdout:write("READY\n")
        io.stdout:flush()
        local ok, err = pcall(conn.retr, conn, 1)
        print(ok, tostring(err):match("interrupted!"))
        ok, err = pcall(conn.noop, conn)
        print(ok, err.kind, err.name)
        conn:close()
      ]], arguments = {s.port}, signal = SIGINT,
    }
    assert.are.equal("READY\nfalse\tinterrupted!\nfalse\tstate\tbusy\n",
                     result.out)
    s:report()
  end)
end)

-- -------------------------------------------------------------- T27, R22

describe("A descriptor", function()
  it("T27 above 1024 serves like any other", function()
    local tls = server.start{
      {{tls = certificates.server "ip"}, {mailbox = {messages = {"a\r\n"}}}},
    }
    local out = run{
      script = [[
        local pop3 = require "pop3"
        local port, cafile = ...
        local files = {}
        for n = 1, 1100 do files[n] = assert(io.open("/dev/null")) end
        local conn = pop3.POP3_SSL("127.0.0.1", tonumber(port),
                                   {cafile = cafile, timeout = 20})
        print(conn:fd() > 1024)
        conn:login("name", "secret")
        print(select(2, conn:retr(1))[1])
        print((conn:quit()))
        print(pcall(pop3.POP3, "localhost", 1))
      ]], arguments = {tls.port, cafile}, nofile = 4096,
    }
    assert.is_truthy(out:find("^true\na\n%+OK bye\nfalse\t"), out)
    tls:report()
  end)

  it("T27 that cannot be had is an error that says so", function()
    local s = server.start{connections = {{"S: +OK"}}, accepts = 0}
    local out = run{
      script = [[
        local pop3 = require "pop3"
        local files = {}
        for n = 1, 100 do files[n] = io.open("/dev/null") end
        for _, host in ipairs{"127.0.0.1", "localhost"} do
          local ok, err = pcall(pop3.POP3, host, tonumber((...)),
                                {timeout = 20})
          print(ok, err.kind, tostring(err):match("open files"),
                err.retryable)
        end
        files[1]:close()
        files[2]:close()
        files[3]:close()
        print(pop3.POP3("127.0.0.1", tonumber((...)), {timeout = 20})
              :getwelcome())
      ]], arguments = {s.port}, nofile = 40,
    }
    assert.is_truthy(out:find("^false\tio\topen files\ttrue\n"
      .. "false\tresolve\topen files\ttrue\n"), out)
    assert.is_truthy(out:find("+OK\n", 1, true), out)
    s:stop()
  end)

  it("R22 is not inherited by a child process", function()
    local s = server.start{
      {{tls = certificates.server "ip"}, "S: +OK ready"}, {"S: +OK ready"},
    }
    local out = run{
      script = [[
        local pop3 = require "pop3"
        local port, cafile = ...
        local one = pop3.POP3_SSL("127.0.0.1", tonumber(port),
                                  {cafile = cafile, timeout = 20})
        local two = pop3.POP3("localhost", tonumber(port), {timeout = 20})
        local pipe = io.popen("ls -l /proc/self/fd")
        for line in pipe:lines() do
          if line:find("socket:", 1, true) or line:find("eventfd", 1, true)
             or line:match("^%S+.* (%d+) %->") == tostring(two:fd()) then
            print(line)
          end
        end
        pipe:close()
        print("end")
        one:close()
        two:close()
      ]], arguments = {s.port, cafile}, shim = true,
      env = {SHIM_NAMES = NAMES},
    }
    assert.are.equal("end\n", out)
    s:report()
  end)

  it("is given back by close(), quit() and the collector", function()
    local count = 50
    local s = server.start{
      connections = {{"S: +OK", {auto = {}}}}, accepts = 3 * count + 1,
    }
    local out = run{
      script = [[
        local pop3 = require "pop3"
        local port, count = tonumber((...)), tonumber((select(2, ...)))
        local function open()
          local pipe = io.popen("exec ls /proc/$PPID/fd | wc -l")
          local n = pipe:read("*n")
          pipe:close()
          return n
        end
        pop3.POP3("localhost", port):close()
        local before = open()
        local function round()
          pop3.POP3("localhost", port):close()
          pop3.POP3("127.0.0.1", port):quit()
          pop3.POP3("127.0.0.1", port)
        end
        for _ = 1, count do round() end
        collectgarbage()
        collectgarbage()
        -- A trace of LuaJIT may hold on to the last one.
        print(open() - before <= 1)
      ]], arguments = {s.port, count}, shim = true,
      env = {SHIM_NAMES = NAMES},
    }
    assert.are.equal("true\n", out)
    s:stop()
  end)
end)

-- -------------------------------------------------------------- T28, T61

describe("A name", function()
  local script = [[
    local pop3 = require "pop3"
    local port = tonumber((...))
    local ok, conn = pcall(pop3.POP3, "mail.example", port,
                           {connect_timeout = 4})
    print(ok, ok and conn:getwelcome() or conn.kind .. "/" .. conn.name)
    print(ok and conn:info().address or conn)
  ]]

  it("T28 with one dead and one live address reaches the live one",
     function()
    for _, names in ipairs{"127.0.0.2,127.0.0.1", "127.0.0.1,127.0.0.2",
                           "127.0.0.2,127.0.0.3,127.0.0.1",
                           "::1,127.0.0.1"} do
      local s = server.start{{"S: +OK live"}}
      local out = run{script = script, arguments = {s.port}, shim = true,
                      env = {SHIM_NAMES = names}}
      assert.is_truthy(out:find("^true\t%+OK live\n127.0.0.1"),
                       names .. ": " .. out)
      s:report()
    end
  end)

  it("T28 with one silent and one live address reaches the live one",
     function()
    local s = server.start{{"S: +OK live"}}
    local silent = server.start{host = "127.0.0.2", port = s.port, backlog = 0,
                                accept = false}
    local out, result = run{
      script = [[
        -- A full queue of connections that nobody accepts swallows the next.
        local fill = require "pop3"
        for _ = 1, 3 do
          pcall(fill.POP3, "127.0.0.2", tonumber((...)), {timeout = 0.1})
        end
      ]] .. script, arguments = {s.port}, shim = true,
      env = {SHIM_NAMES = "127.0.0.2,127.0.0.1"},
    }
    silent:stop()
    assert.is_truthy(out:find("^true\t%+OK live\n127.0.0.1"), out)
    assert.is_true(result.seconds < 10)
    s:report()
  end)

  it("T28 with dead addresses only is an error that names the host",
     function()
    local out = run{script = script, arguments = {server.closed_port()},
                    shim = true, env = {SHIM_NAMES = "127.0.0.2,127.0.0.3"}}
    assert.is_truthy(out:find("^false\tio/"), out)
    assert.is_truthy(out:find("mail.example", 1, true), out)
  end)

  it("T61 being looked up delays no lua_close", function()
    local s = server.start{connections = {{{stall = true}}}, accepts = 0}
    local out, result = run{
      script = [[
        local pop3 = require "pop3"
        local port = tonumber((...))
        for n = 1, 8 do
          local ok, err = pcall(pop3.POP3, "slow" .. n .. ".example", port,
                                {connect_timeout = 0.05})
          assert(not ok and err.kind == "timeout", tostring(err))
        end
        connections = {}
        for n = 1, 100 do
          -- Still waiting for their greeting when the state is closed.
          connections[n] = coroutine.create(function()
            pcall(pop3.POP3, "127.0.0.1", port, {connect_timeout = 0.001})
          end)
          coroutine.resume(connections[n])
        end
        print("end")
      ]], arguments = {s.port}, shim = true, env = {SHIM_SLOW = "15000"},
    }
    assert.are.equal("end\n", out)
    assert.is_true(result.seconds < 5, tostring(result.seconds))
    s:stop()
  end)
end)
