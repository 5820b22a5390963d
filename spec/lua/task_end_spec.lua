--- Tasks that are cancelled or dropped: what is closed, removed and never sent.

local certificates = require "spec.support.certificates"
local claims = require "spec.support.claims"
local descriptors = require "spec.support.descriptors"
local lfs = require "lfs"
local lua = require "spec.support.lua"
local pop3 = require "pop3"
local server = require "spec.support.server"
local sinks = require "spec.support.sinks"
local tasks = require "spec.support.tasks"

local mails, start, silent = tasks.mails, tasks.serve, tasks.silent
local logged_in, frame, drive = tasks.logged_in, tasks.frame, tasks.drive

after_each(server.stop_all)

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
    local before = descriptors.held()
    collectgarbage("stop")
    ends(task, function()
      if not ready() then return false end
      assert.is_true(descriptors.count() > before)
      return true
    end)
    local after = descriptors.count()
    collectgarbage("restart")
    assert.equal(before, after)
  end

  local function at_once() return true end

  it("while a name is resolved", function()
    -- The helper thread may have descriptors of its own until it has an answer.
    local before = descriptors.held()
    ends(pop3.start(function() pop3.POP3("a.name.invalid", 110) end), at_once)
    claims.within(30, function()
      repeat frame() until descriptors.held() <= before
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
    local s, before = start(), descriptors.held()
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
    assert.equal(before, descriptors.held())
  end)

  it("by itself between two calls", function()
    local s, before = start(), descriptors.held()
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
    assert.equal(before, descriptors.held())
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
    local before = descriptors.held()
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
    assert.equal(before, descriptors.held())
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
