--- A step of a task: how much it does, in octets and seconds, and what it leaves.

local claims = require "spec.support.claims"
local core = require "pop3.core"
local pop3 = require "pop3"
local server = require "spec.support.server"
local tasks = require "spec.support.tasks"

local mails, start = tasks.mails, tasks.serve
local logged_in, drive = tasks.logged_in, tasks.drive

after_each(server.stop_all)

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
    -- And in a step, that one's grant is in force again.
    local outer = pop3.start(function()
      pop3.start(function() error("x", 0) end):step(0, 0)
      local conn = pop3.POP3("memory", 110, { transport = stream(message_of(mails[1])) })
      return (conn:retr_string(1))
    end)
    assert.same({ "done", mails[1] }, { outer:step(math.huge, 60) })
  end)

  it("refuses wrong arguments", function()
    local task = pop3.start(function() end)
    for _, wrong in ipairs { "64", {}, true, -1, 0 / 0, print } do
      local text = claims.misuse(function() task:step(wrong) end)
      assert.truthy(text:find("bad argument #1 to 'step'", 1, true), text)
      assert.truthy(text:find("task_step_spec.lua", 1, true), text)
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
