--- pop3.start: plain code, a step at a time, in hosts that draw frames.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local core = require "pop3.core"
local lfs = require "lfs"
local lua = require "spec.support.lua"
local mailbox = require "spec.support.mailbox"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"

after_each(server.stop_all)

local mails = {}
for n = 1, 20 do
  mails[n] = ("Subject: %d\r\n\r\n"):format(n) .. ("x"):rep(2000) .. "\r\n"
end

local function start(more)
  local box = { messages = mails, capa = { "PIPELINING", "UIDL", "TOP" } }
  for key, value in pairs(more or {}) do box[key] = value end
  return server.start { connections = { { { mailbox = box } } }, accepts = 0 }
end

local function silent() return server.start { { { stall = true } } } end

local function logged_in(s, options)
  local conn = pop3.POP3(s.host, s.port, options or {})
  conn:login("me", "x")
  return conn
end

-- What a host does between two steps: draw, wait for the next frame.
local function frame() core.poll({}, 0.0005) end

--- Step until `over` says so, or to the end; what the last step said.
local function drive(task, over, octets, seconds)
  for _ = 1, 100000 do
    local said = { task:step(octets, seconds) }
    if said[1] ~= "waiting" or (over and over()) then return said end
    frame()
  end
  error("the task does not end", 2)
end

local function fails_in(task, kind, name)
  local said = drive(task)
  assert.equal("failed", said[1])
  if type(said[2]) ~= "table" then error("no error object: " .. tostring(said[2]), 2) end
  assert.same({ kind, name }, { said[2].kind, said[2].name })
  return said[2]
end

local function open_now()
  local count = 0
  for _ in lfs.dir("/proc/self/fd") do count = count + 1 end
  return count
end

-- Without what specs before have left to the collector.
local function descriptors()
  for _ = 1, 2 do collectgarbage() end
  return open_now()
end

-- A stream in memory: a greeting, then one answer, always there at once.
local function stream(answer)
  local octets, at = "+OK\r\n", 1
  local self = { received = 0 }
  function self.send(_, text)
    octets, at = answer, 1
    return #text
  end
  function self.receive(_, max)
    local piece = octets:sub(at, at + max - 1)
    if piece == "" then return nil, "timeout" end
    at = at + #piece
    self.received = self.received + #piece
    return piece
  end
  function self.close() end
  return self
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
    local tasks, done = {}, 0
    for i = 1, 10 do
      tasks[i] = pop3.start(function()
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
        for i, task in ipairs(tasks) do
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

describe("A step", function()
  -- Octets of a sink's pieces, by steps.
  local function per_step(task, counted, octets)
    local most, steps, last = 0, 0, 0
    local said = drive(task, function()
      steps = steps + 1
      most = math.max(most, counted() - last)
      last = counted()
      return false
    end, octets, 60) -- no step ends by the clock, and leaves something over
    assert.equal("done", said[1], tostring(said[2]))
    return math.max(most, counted() - last), steps
  end

  for _, budget in ipairs { 1, 1000, 65536 } do
    it(("T56 receives no more than its %d octets"):format(budget), function()
      local size = budget == 1 and 300 or 3000000
      local s = start { messages = { { ("x"):rep(48) .. "\r\n", size / 50 } } }
      local octets = 0
      local most, steps = per_step(pop3.start(function()
        return logged_in(s):retr_to(1, function(piece) octets = octets + #(piece or "") end)
      end), function() return octets end, budget)
      assert.equal(size, octets)
      assert.is_true(most <= budget, most)
      assert.is_true(most >= budget / 4, most) -- it is used
      assert.is_true(steps >= size / budget)
    end)
  end

  it("T56 counts all that many small messages are", function()
    local s = start { messages = mails }
    local octets, numbers = 0, {}
    for i = 1, 2000 do numbers[i] = i % 20 + 1 end
    local most = per_step(pop3.start(function()
      local conn = logged_in(s, { pipelining = true })
      return conn:retr_many(numbers, function(_, text) octets = octets + #text end)
    end), function() return octets end, 30000)
    assert.is_true(octets > 4000000)
    -- One message may have begun in the step before.
    assert.is_true(most <= 30000 + #mails[20], most)
  end)

  local function message_of(octets) return "+OK\r\n" .. octets .. ".\r\n" end

  -- A task that reads this many streams in turns; one table for all octets.
  local function read_streams(streams)
    return pop3.start(function()
      local readers = {}
      for i, transport in ipairs(streams) do
        local conn = pop3.POP3("memory", 110, { transport = transport })
        readers[i] = conn:retr_chunks(1)
      end
      for _, reader in ipairs(readers) do while reader:next() do end end
    end)
  end

  local function sum(streams)
    local octets = 0
    for _, one in ipairs(streams) do octets = octets + one.received end
    return octets
  end

  it("T56 counts the octets of all its connections together", function()
    -- Always ready: only the budget ends a step.
    local octets = message_of(("x"):rep(98) .. "\r\n")
    local streams = {}
    for i = 1, 200 do
      streams[i] = stream(octets)
    end
    local task, steps, last = read_streams(streams), 0, 0
    repeat
      local state = task:step(1000, 60)
      steps = steps + 1
      local now = sum(streams)
      -- A receive of a host's stream is asked for up to a buffer of it.
      assert.is_true(now - last <= 1000 + #octets, now - last)
      last = now
    until state ~= "waiting"
    assert.same({ "done" }, { task:step() })
    assert.is_true(steps >= 200 * #octets / (1000 + #octets), steps)
  end)

  it("gives way after its seconds, though octets are always there", function()
    local task = read_streams { stream(message_of(("\r\n"):rep(500000))) }
    local steps = 0
    repeat
      local state = task:step(math.huge, 0)
      steps = steps + 1
    until state ~= "waiting"
    assert.same({ "done" }, { task:step() })
    assert.is_true(steps > 5, steps)
  end)

  it("gives way while a table of lines is built", function()
    local lines = ("\r\n"):rep(500000)
    local conn = pop3.POP3("memory", 110, { transport = stream(message_of(lines)) })
    local task, steps = pop3.start(function() return #select(2, conn:retr(1)) end), 0
    repeat
      local state, count = task:step(math.huge, 0.0001)
      steps = steps + 1
      assert.is_true(state == "waiting" or count == 500000, tostring(count))
    until state ~= "waiting"
    -- Half a million lines take far longer than ten times a tenth of 1 ms.
    assert.is_true(steps > 10, steps)
  end)

  it("gets on with no octets and no seconds", function()
    local s = start()
    local said = drive(pop3.start(function() return #logged_in(s):retr_string(1) end),
      nil, 0, 0)
    assert.same({ "done", #mails[1] }, said)
  end)

  it("cannot be made inside of itself", function()
    local task, text
    task = pop3.start(function() text = claims.misuse(task.step, task) end)
    assert.equal("done", (task:step()))
    assert.truthy(text:find("running already", 1, true), text)
  end)

  it("of a task inside of another one shares its octets", function()
    local size, octets, most = 1000000, 0, 0
    local s = start { messages = { { ("x"):rep(48) .. "\r\n", size / 50 } } }
    local inner = pop3.start(function()
      logged_in(s):retr_to(1, function(piece) octets = octets + #(piece or "") end)
      return "inner"
    end)
    local outer = pop3.start(function()
      local conn = logged_in(s)
      while true do
        local state, what = inner:step(65536, 60)
        if state ~= "waiting" then break end
        coroutine.yield()
        assert(what == nil)
      end
      return (conn:stat()) -- its own connection still waits for its own steps
    end)
    local last = 0
    local said = drive(outer, function()
      most = math.max(most, octets - last)
      last = octets
      return false
    end, 5000, 60)
    assert.same({ "done", 1 }, said)
    assert.same({ "done", "inner" }, { inner:step() })
    assert.equal(size, octets)
    assert.is_true(most <= 5000 and most > 1000, most)
  end)

  it("leaves nothing behind when the task ends in it", function()
    local s = start()
    pop3.start(function() error("x", 0) end):step()
    -- No grant is active any more: this blocks, as it should.
    assert.equal(mails[1], (logged_in(s):retr_string(1)))
  end)

  it("refuses wrong arguments", function()
    local task = pop3.start(function() end)
    for _, wrong in ipairs { "64", {}, true, -1, 0 / 0, print } do
      local text = claims.misuse(function() task:step(wrong) end)
      assert.truthy(text:find("bad argument #1 to 'step'", 1, true), text)
      assert.truthy(text:find("task_spec.lua", 1, true), text)
      text = claims.misuse(function() task:step(1, wrong) end)
      assert.truthy(text:find("bad argument #2 to 'step'", 1, true), text)
    end
    for _, method in ipairs { "step", "cancel" } do
      for _, wrong in ipairs { 1, "x", {}, false } do
        assert.truthy(claims.misuse(function() task[method](wrong) end)
          :find("bad self to '" .. method .. "'", 1, true))
      end
    end
    for _, module in ipairs { pop3, pop3.safe } do
      for _, wrong in ipairs { 1, "x", {}, false } do
        local text = claims.misuse(function() local t = module.start(wrong) return t end)
        assert.truthy(text:find("bad argument #1 to 'start' (function expected", 1, true), text)
      end
    end
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

describe("Cancelling a task", function()
  -- Step until `ready`, cancel: it fails from then on.
  local function ends(task, ready)
    drive(task, ready)
    task:cancel()
    for _ = 1, 2 do
      local state, err = task:step()
      assert.same({ "failed", "aborted", "aborted" }, { state, err.kind, err.name })
      assert.equal("the task was cancelled", tostring(err))
      task:cancel()
    end
  end

  -- And its descriptors are free at once, without any collector.
  local function cancel(task, ready)
    local before = descriptors()
    collectgarbage("stop")
    ends(task, function()
      if not ready() then return false end
      assert.is_true(open_now() > before)
      return true
    end)
    local after = open_now()
    collectgarbage("restart")
    assert.equal(before, after)
  end

  local function at_once() return true end

  it("while a name is resolved", function()
    -- The helper thread may have descriptors of its own until it has an answer.
    local before = descriptors()
    ends(pop3.start(function() pop3.POP3("a.name.invalid", 110) end), at_once)
    claims.within(30, function()
      repeat frame() until descriptors() <= before
    end)
  end)

  it("while it connects", function()
    local s = server.start { accept = false, backlog = 0 }
    local fillers = {}
    for i = 1, 3 do -- the queue takes the first ones
      fillers[i] = pop3.start(function() pop3.POP3(s.host, s.port) end)
      fillers[i]:step()
    end
    cancel(pop3.start(function() pop3.POP3(s.host, s.port) end), at_once)
    for _, filler in ipairs(fillers) do filler:cancel() end
  end)

  it("in the handshake", function()
    local s = silent()
    local context = pop3.context { cafile = certificates.cafile }
    cancel(pop3.start(function()
      pop3.POP3_SSL(s.host, s.port, { context = context })
    end), at_once)
  end)

  it("while it waits for the greeting", function()
    local s = silent()
    cancel(pop3.start(function() pop3.POP3(s.host, s.port) end), at_once)
  end)

  it("in the midst of a message, and nothing is sent", function()
    local s = start { messages = { { ("x"):rep(998) .. "\r\n", 3000 } } }
    local octets = 0
    cancel(pop3.start(function()
      logged_in(s):retr_to(1, function(piece) octets = octets + #piece end)
    end), function() return octets > 0 end)
    local commands = s:report().connections[1].commands
    assert.equal("RETR 1", commands[#commands])
  end)

  it("in the midst of a file, which is removed", function()
    local s = start { messages = { { ("x"):rep(998) .. "\r\n", 3000 } } }
    local path = sinks.path()
    local task = pop3.start(function() logged_in(s):retr_to(1, { path = path }) end)
    drive(task, function() return lfs.attributes(path) ~= nil end)
    task:cancel()
    assert.is_nil(lfs.attributes(path))
  end)

  it("in a sink that yields", function()
    local s, parked = start(), false
    cancel(pop3.start(function()
      logged_in(s):retr_to(1, function()
        parked = true
        coroutine.yield()
      end)
    end), function() return parked end)
  end)

  it("in a sink of its own, which goes on until it gives way", function()
    local s, before = start(), descriptors()
    local task, told, after
    task = pop3.start(function()
      local conn = logged_in(s)
      local octets, _, err = pop3.safe.POP3(s.host, s.port):retr_to(1, function() end)
      told = octets == nil and err.kind
      conn:retr_to(1, function(piece) if piece then task:cancel() end end)
      after = true
    end)
    local said = drive(task)
    assert.same({ "failed", "aborted" }, { said[1], said[2].kind })
    assert.equal("proto", told)
    assert.is_nil(after) -- a call on a closed connection raised
    assert.equal(before, descriptors())
  end)

  it("by itself between two calls", function()
    local s, before = start(), descriptors()
    local task, went_on
    task = pop3.start(function()
      local conn = logged_in(s)
      task:cancel()
      went_on = not pcall(conn.noop, conn)
      coroutine.yield()
      error("it was resumed")
    end)
    local said = drive(task)
    assert.same({ "failed", "aborted", true }, { said[1], said[2].kind, went_on })
    assert.equal(before, descriptors())
  end)

  it("closes a stream of the host's", function()
    local transport = { sent = 0 }
    function transport:send(octets) self.sent = self.sent + #octets return #octets end
    function transport.receive() coroutine.yield() return nil, "timeout" end
    function transport:close() self.closed = true end
    local task = pop3.start(function()
      pop3.POP3("memory", 110, { transport = transport })
    end)
    assert.equal("waiting", (task:step()))
    task:cancel()
    assert.is_true(transport.closed)
    assert.equal(0, transport.sent)
  end)

  it("closes what its code wanted closed, where Lua can", function()
    if not lua.closes then return pending("this Lua cannot") end
    local closed = false
    local fn = lua.load [[
      local closer = ...
      return function()
        local guard <close> = setmetatable({}, { __close = closer })
        coroutine.yield()
      end]](function() closed = true end)
    local task = pop3.start(fn)
    task:step()
    assert.is_false(closed)
    task:cancel()
    assert.is_true(closed)
  end)
end)

describe("A task that is dropped", function()
  it("T60 in the midst of a message goes with its socket, nothing sent", function()
    local s = start { messages = { { ("x"):rep(998) .. "\r\n", 3000 } } }
    local before = descriptors()
    local weak = setmetatable({}, { __mode = "k" })
    for _ = 1, 20 do -- often enough to be compiled, where it may be
      local octets = 0
      local task = pop3.start(function()
        local conn = logged_in(s)
        weak[conn] = true
        conn:retr_to(1, function(piece) octets = octets + #piece end)
      end)
      weak[task] = true
      drive(task, function() return octets > 200000 end, 4096)
      assert.is_true(octets < 3000000)
    end
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(next(weak))
    assert.equal(before, descriptors())
    for _, connection in ipairs(s:report().connections) do
      assert.equal("RETR 1", connection.commands[#connection.commands])
    end
  end)

  it("after its end holds nothing but its results", function()
    local s = start()
    local weak = setmetatable({}, { __mode = "k" })
    local task = pop3.start(function()
      local conn = logged_in(s)
      weak[conn] = true
      return (conn:stat())
    end)
    assert.same({ "done", #mails }, drive(task))
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(next(weak))
    assert.same({ "done", #mails }, { task:step() })
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

describe("A grant that no step made", function()
  it("holds nobody up", function()
    local s = start()
    local conn = logged_in(s, { timeout = 5 })
    core.grant(0, 0)
    assert.equal(20, (conn:stat()))
    assert.equal(20, (conn:stat()))
    conn:close()
  end)
end)
