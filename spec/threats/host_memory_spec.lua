--- threats.md, T55 and T61: a program that embeds Lua gives it so much memory
-- and no more, and ends it when it likes. What is left works, and nothing is
-- left behind.
local child = require "spec.support.child"
local server = require "spec.support.server"

after_each(server.stop_all)

teardown(child.clean)

local MIB = 2 ^ 20

-- What the program said: the script's lines, and its own figures.
local function run(request)
  request.host = true
  local said, figures = {}, {}
  for _, line in ipairs(child.lines(request)) do
    local name, value = line:match "^(%l+) (%d+)$"
    if name then figures[name] = tonumber(value) else said[#said + 1] = line end
  end
  assert.equal(0, figures.left)
  return said, figures
end

local function mailbox()
  return server.start { accepts = 0, keep = 0, connections = { { { mailbox = {
    messages = { "one\r\n", "two\r\n" }, open = true } } } } }
end

-- What every script needs: count() tries `f` so often, and says how it ended.
local COMMON = [[
  if jit then jit.off() end -- its compiler does not survive a lack of memory
  local pop3 = require "pop3"
  local core = require "pop3.core"
  local host, port, times = ...
  port, times = tonumber(port), tonumber(times)
  local seen = {}
  local function try(f, ...)
    local ok, value, err = pcall(f, ...)
    local what = "made"
    if not ok then
      what = type(value) == "table" and value.kind .. "/" .. value.name or value
    elseif value == nil then
      what = err.kind .. "/" .. err.name
    end
    seen[what] = (seen[what] or 0) + 1
    return ok and value
  end
  -- Hold all that come of it, in a table that need not grow when there is no
  -- memory left; a function of its own, so that nothing stays on the stack.
  local function hold(f, ...)
    local held = {}
    for i = 1, times do held[i] = false end
    for i = 1, times do held[i] = try(f, ...) end
  end
  local function report(wanted)
    for what, count in pairs(seen) do
      if not what:find(wanted) then print(what, count) end
    end
    seen = {}
  end
  -- The state is as good as new.
  local function works()
    collectgarbage()
    collectgarbage()
    local M = pop3.POP3(host, port, { timeout = 20 })
    print(#M:retr_string(1), #select(2, M:retr(2)))
    M:quit()
  end
  local function resident()
    local file = assert(io.open "/proc/self/status")
    local kib = file:read "*a":match "VmRSS:%s*(%d+) kB"
    file:close()
    return tonumber(kib) * 1024
  end
]]

-- Under sanitizers and emulation fewer, and their memory is not ours.
local measured = not (os.getenv "POP3_SANITIZED" or os.getenv "POP3_VALGRIND")

-- A million takes minutes where others are at work.
local many = os.getenv "POP3_WHOLE" == "yes" and 1000000 or measured and 200000 or 20000

describe("T55 Connections under the host's memory limit", function()
  it("are as many as it likes, one after the other: memory is flat", function()
    local s = mailbox()
    local said = run { deadline = 110, env = { HOST_LIMIT = tostring(16 * MIB) },
      arguments = { s.host, s.port, many }, script = COMMON .. [[
        local options = {}
        local function attempt() return core.connect("POP3", false, "127.0.0.1", 1, options) end
        for _ = 1, 5000 do try(attempt) end
        local before = resident()
        for _ = 1, times do try(attempt) end
        report "^made$"
        local grown = (resident() - before) / 2 ^ 20
        print(grown < 20 and "flat" or grown) -- all that it may have, and some
        works()
      ]] }
    assert.same({ measured and "flat" or said[1], "5\t1" }, said)
  end)

  it("end in a memory error when they are held, and go on when they are not", function()
    local s = mailbox()
    local said, figures = run { deadline = 100, env = { HOST_LIMIT = tostring(8 * MIB) },
      arguments = { s.host, s.port, 3000 }, script = COMMON .. [[
        for round = 1, 3 do
          hold(core.connect, "POP3", false, "127.0.0.1", 1, {})
          assert(seen["not enough memory"] > times / 2 and seen.made > 100)
          works()
          report "^made$"
        end
      ]] }
    assert.equal(6, #said, table.concat(said, "\n"))
    for i = 1, 6, 2 do
      assert.equal("5\t1", said[i])
      assert.match("^not enough memory\t%d+$", said[i + 1])
    end
    assert.is_true(figures.peak <= 8 * MIB)
  end)

  it("end so while they are open and read, too", function()
    local s = mailbox()
    local said = run { deadline = 100, env = { HOST_LIMIT = tostring(6 * MIB) }, nofile = 4096,
      arguments = { s.host, s.port, 600 }, script = COMMON .. [[
        hold(function()
          local M = pop3.POP3(host, port, { timeout = 20 })
          M:retr_lines(1):next()
          return M
        end)
        works()
        report "^made$"
      ]] }
    assert.equal("5\t1", said[1])
    assert.match("^not enough memory\t%d+$", said[2])
    assert.equal(2, #said)
  end)

  it("are bounded by max_connections where the memory is not Lua's", function()
    local s = mailbox()
    local said = run { deadline = 100, env = { HOST_LIMIT = tostring(32 * MIB) },
      arguments = { s.host, s.port, measured and 3000 or 300 }, script = COMMON .. [[
        pop3.restrict { servers = { "127.0.0.1" }, max_connections = 8 }
        local held = {}
        local function attempt(i)
          held[i] = core.connect("POP3", false, "127.0.0.1", 1, { ciphers = "AES128+" .. i % 7 })
            or pop3.context {}
          return held[i]
        end
        local before
        for i = 1, times do
          try(attempt, i)
          if i == 100 then before = resident() end
        end
        assert(seen["policy/restricted"] >= times - 100)
        report "^[mp]"
        local grown = (resident() - before) / 2 ^ 20
        print(grown < 8 and "flat" or grown)
        held = nil
        works()
      ]] }
    assert.same({ measured and "flat" or said[1], "5\t1" }, said)
  end)
end)

describe("T61 lua_close", function()
  it("with a hundred connections, names and disks at work is done at once", function()
    local mute = server.start { connections = { { { stall = true } } }, accepts = 0 }
    local hole = server.start { host = "127.0.0.2", backlog = 0, accept = false }
    local box = server.start { accepts = 0, keep = 0, connections = { { { mailbox = {
      messages = { ("x"):rep(2 ^ 22) .. "\r\n" }, open = true } } } } }
    local folder = require("spec.support.files").make_folder()
    local said, figures = run {
      deadline = 60, shim = true, env = { SHIM_SLOW = "700", HOST_LINGER = "1500" },
      arguments = { mute.host, mute.port, hole.host, hole.port, box.host, box.port, folder },
      script = [[
        local pop3 = require "pop3"
        local mute, mute_port, hole, hole_port, box, box_port, folder = ...
        local options = { timeout = 30, connect_timeout = 30,
          wait = function() coroutine.yield() end }
        tasks = {}
        local function start(f)
          local task = coroutine.create(f)
          local ok, err = coroutine.resume(task)
          assert(ok, err)
          assert(coroutine.status(task) == "suspended")
          tasks[#tasks + 1] = task
        end
        for _ = 1, 50 do
          start(function() pop3.POP3(mute, tonumber(mute_port), options) end)
        end
        for _ = 1, 50 do
          start(function() pop3.POP3(hole, tonumber(hole_port), options) end)
        end
        for i = 1, 9 do
          start(function() pop3.POP3("slow" .. i .. ".example", 110, options) end)
        end
        for i = 1, 3 do -- in the midst of a message
          start(function()
            local M = pop3.POP3(box, tonumber(box_port), options)
            M:retr_to(1, { path = folder .. "/" .. i })
          end)
        end
        for _ = 1, 50 do
          for i = #tasks - 2, #tasks do coroutine.resume(tasks[i]) end
        end
        local context = pop3.context {}
        print(#tasks)
      ]],
    }
    assert.same({ "112" }, said)
    if measured then
      assert.is_true(figures.closed < 50000, figures.closed .. " microseconds")
    end
    require("spec.support.files").remove_folder(folder)
  end)
end)
