--- pop3.start: plain code, a step at a time, in hosts that draw frames. What a
-- step is is in task_step_spec.lua, how a task ends early in task_end_spec.lua.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local core = require "pop3.core"
local lua = require "spec.support.lua"
local mailbox = require "spec.support.mailbox"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"
local tasks = require "spec.support.tasks"

local mails, start, silent = tasks.mails, tasks.serve, tasks.silent
local logged_in, frame, drive = tasks.logged_in, tasks.frame, tasks.drive

after_each(server.stop_all)

local function fails_in(task, kind, name)
  local said = drive(task)
  assert.equal("failed", said[1])
  if type(said[2]) ~= "table" then error("no error object: " .. tostring(said[2]), 2) end
  assert.same({ kind, name }, { said[2].kind, said[2].name })
  return said[2]
end

describe("A task", function()
  it("runs plain code, and says what it returned, again and again", function()
    local s = start()
    local task = pop3.start(function(a, b, c)
      local conn = logged_in(s)
      local text = conn:retr_string(3)
      conn:quit()
      return text, nil, a, b, c, nil
    end, 1, nil, 3)
    assert.equal("pop3.task (waiting)", tostring(task))
    local said = drive(task)
    for _ = 1, 2 do
      assert.equal(7, select("#", task:step()))
      assert.same({ "done", mails[3], nil, 1, nil, 3 }, said)
      said = { task:step() }
    end
    task:cancel() -- too late
    assert.equal("done", (task:step()))
    assert.equal("pop3.task (done)", tostring(task))
  end)

  it("does not run before its first step, and not at all if cancelled", function()
    local ran = 0
    local function fn() ran = ran + 1 end
    local task, other = pop3.start(fn), pop3.start(fn)
    assert.equal(0, ran)
    assert.same({ "done" }, { task:step() })
    other:cancel()
    assert.equal("failed", (other:step()))
    assert.equal(1, ran)
  end)

  it("fails with what was raised, unchanged, again and again", function()
    local mine = setmetatable({}, { __tostring = function() error("no") end })
    for _, raised in ipairs { mine, "text", false, 7 } do
      local task = pop3.start(function() error(raised, 0) end)
      for _ = 1, 2 do
        local state, err = task:step()
        assert.equal("failed", state)
        assert.is_true(err == raised)
      end
    end
    local s = start { password = "another" }
    local task = pop3.start(logged_in, s)
    local err = fails_in(task, "auth", "refused")
    assert.is_true(pop3.is_error_proto(err))
  end)

  it("is the same of pop3.safe", function()
    local s = start { password = "another" }
    local task = pop3.safe.start(function()
      local conn = assert(pop3.safe.POP3(s.host, s.port))
      return conn:login("me", "x")
    end)
    local said = drive(task)
    assert.same({ "done", "-ERR [AUTH] wrong user or password" }, { said[1], said[4].response })
    assert.matches("wrong user or password", said[3], 1, true)
    assert.equal("auth", said[4].kind)
  end)

  it("may catch errors, but in PUC 5.1 by pop3.safe only", function()
    if not lua.yields_anywhere then return pending("it cannot yield through pcall") end
    local s = start()
    local said = drive(pop3.start(function()
      local conn = logged_in(s)
      local ok, err = pcall(conn.retr, conn, 99)
      local octets = 0
      for line in conn:retr_lines(1) do octets = octets + #line + 2 end
      return ok, err.kind, octets
    end))
    assert.same({ "done", false, "proto", #mails[1] }, said)
  end)

  it("gives way where it yields by itself", function()
    local order = {}
    local task = pop3.start(function()
      for i = 1, 3 do
        order[#order + 1] = i
        coroutine.yield("nobody is told")
      end
      return "end"
    end)
    for i = 1, 3 do
      assert.same({ "waiting" }, { task:step() })
      assert.equal(i, #order)
    end
    assert.same({ "done", "end" }, { task:step() })
  end)

  it("waits for nothing in a step, whatever the server does", function()
    local s = silent()
    local task = pop3.start(function() return pop3.POP3(s.host, s.port) end)
    claims.within(1, function()
      for _ = 1, 1000 do assert.equal("waiting", (task:step())) end
    end)
    task:cancel()
  end)

  it("meets its deadlines", function()
    local s = silent()
    fails_in(pop3.start(function()
      pop3.POP3(s.host, s.port, { connect_timeout = 0.1 })
    end), "timeout", "connect")
  end)

  it("resolves names without waiting", function()
    fails_in(pop3.start(function()
      pop3.POP3("no-such-host.invalid", 110, { connect_timeout = 20 })
    end), "resolve", "not_found")
  end)

  it("writes files, durable when it goes on", function()
    local s, path = start(), sinks.path()
    local said = drive(pop3.start(function()
      return logged_in(s):retr_to(2, { path = path })
    end))
    assert.same({ "done", #mails[2] }, said)
    assert.equal(mails[2], sinks.take(path))
  end)

  it("is one of several that go on side by side", function()
    local s = start { stls = certificates.server "exact" }
    local context = pop3.context { cafile = certificates.cafile,
      servername = certificates.name }
    local all, done = {}, 0
    for i = 1, 10 do
      all[i] = pop3.start(function()
        local options = i % 2 == 0 and { tls = "starttls", context = context } or {}
        local conn, text = logged_in(s, options), {}
        conn:retr_many({ i, i + 1, i + 2 }, function(_, mail) text[#text + 1] = mail end)
        conn:quit()
        return table.concat(text)
      end)
    end
    claims.within(60, function()
      while done < 10 do
        done = 0
        for i, task in ipairs(all) do
          local state, text = task:step()
          if state == "done" then
            done = done + 1
            assert.is_true(text == mails[i] .. mails[i + 1] .. mails[i + 2])
          else
            assert.equal("waiting", state)
          end
        end
        frame()
      end
    end)
  end)

  it("uses connections made elsewhere without blocking", function()
    local s = server.start { { "S: +OK", "C: NOOP", { stall = true } } }
    for _, loop in ipairs { 0, false } do
      local options = { timeout = 3 }
      if loop == false then options.loop = false end
      local conn = pop3.POP3(s.host, s.port, options)
      local task = pop3.start(function() conn:noop() end)
      claims.within(1, function()
        for _ = 1, 10 do assert.equal("waiting", (task:step())) end
      end)
      task:cancel()
      assert.is_true(conn:info().closed)
      s = server.start { { "S: +OK", "C: NOOP", { stall = true } } }
    end
  end)

  it("leaves connections that simply block, or are another task's", function()
    local s = start()
    local task = pop3.start(logged_in, s)
    local conn = drive(task)[2]
    assert.equal(mails[1], (conn:retr_string(1)))
    local other = pop3.start(function() return (conn:retr_string(2)) end)
    assert.same({ "done", mails[2] }, drive(other))
    conn:quit()
  end)
end)

describe("A coroutine that a task made itself", function()
  local function inside(fn)
    return pop3.start(function()
      local thread = coroutine.create(fn)
      local ok, err = coroutine.resume(thread)
      return ok, err, coroutine.status(thread)
    end)
  end

  local function misplaced(said)
    assert.same({ "done", false, "state", "misplaced" },
      { said[1], said[2], said[3].kind, said[3].name })
    local text = tostring(said[3])
    assert.truthy(text:find("this coroutine is not the task's own", 1, true), text)
  end

  it("cannot connect, and says so before it does", function()
    local s = start()
    misplaced(drive(inside(function() return pop3.POP3(s.host, s.port) end)))
    pop3.POP3(s.host, s.port):close()
    assert.equal(1, #s:report().connections)
  end)

  it("cannot use a connection, and says so before an octet", function()
    local s = start()
    local conn = logged_in(s)
    misplaced(drive(inside(function() return conn:stat() end)))
    conn:noop()
    conn:close()
    assert.falsy(s:report().connections[1].clear:find("STAT", 1, true))
  end)

  it("cannot use the task's own connection either", function()
    local s = start()
    local conn
    misplaced(drive(pop3.start(function()
      conn = logged_in(s)
      local thread = coroutine.create(function() return conn:stat() end)
      return coroutine.resume(thread)
    end)))
    conn:noop()
    conn:close()
    assert.falsy(s:report().connections[1].clear:find("STAT", 1, true))
  end)

  it("may use a connection that waits in its own way", function()
    local s = start()
    local conn = logged_in(s, {
      wait = function(_, interests, deadline)
        core.poll(interests, deadline - core.now())
      end,
    })
    local said = drive(inside(function() return conn:stat() end))
    assert.same({ "done", true, #mails }, { said[1], said[2], said[3] })
    conn:close()
  end)

  it("gets on with it, though the step is over", function()
    local s = start()
    local waits = 0
    local conn = logged_in(s, {
      wait = function(_, interests, deadline)
        waits = waits + 1
        if waits > 100000 then error "for ever" end
        core.poll(interests, deadline - core.now())
      end,
    })
    local said = drive(inside(function() return conn:stat() end), nil, 0, 0)
    assert.same({ "done", true, #mails }, { said[1], said[2], said[3] })
    conn:close()
  end)

  it("may do all that does not wait", function()
    local task = pop3.start(function()
      local sum = 0
      for n in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do
        sum = sum + n
      end
      return sum
    end)
    assert.same({ "done", 6 }, { task:step() })
  end)
end)

describe("In frames of 60 Hz", function()
  teardown(mailbox.stop_all)

  it("a mailbox of awkward mail comes octet by octet as it is", function()
    local box = mailbox.start { "--sample", "60" }
    local context = pop3.context { cafile = box.ca }
    local got = {}
    local task = pop3.start(function()
      local conn = pop3.POP3_SSL("127.0.0.1", box.tls, { context = context })
      conn:login(box.user, box.password)
      conn:retr_many(conn:listing():numbers(), function(number, text) got[number] = text end)
      conn:quit()
      return #got
    end)
    local clock, state, count = 0, nil, nil -- luacheck: ignore 311
    repeat
      state, count = task:step(65536, 0.001)
      clock = clock + 1 / 60
      frame()
    until state ~= "waiting" or clock > 3600
    assert.same({ "done", 60 }, { state, count })
    for number, mail in ipairs(box:served()) do assert.is_true(got[number] == mail, number) end
  end)
end)
