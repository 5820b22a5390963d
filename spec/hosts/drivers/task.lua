--- Tasks, in steps of a frame each.

local core = require "pop3.core"
local lua = require "spec.support.lua"
local pop3 = require "pop3"

local driver = {}

-- PUC Lua 5.1 cannot yield through pcall.
driver.catches = lua.yields_anywhere

function driver.available() return true end

-- Connections find the task by themselves.
function driver.options(options) return options end

-- A frame, seconds; short, so that specs are.
local FRAME = 0.0005

-- One step of each; those that go on.
local function step_all(tasks)
  local left, raised = {}, nil
  for _, task in ipairs(tasks) do
    local state, err = task:step(65536, 0.001)
    if state == "waiting" then left[#left + 1] = task end
    if state == "failed" then raised = { err } end
  end
  return left, raised
end

function driver.together(list)
  local tasks, failed = {}, nil
  for i, fn in ipairs(list) do tasks[i] = pop3.start(fn) end
  while #tasks > 0 do
    local raised
    tasks, raised = step_all(tasks)
    failed = failed or raised
    core.poll({}, FRAME)
  end
  if failed then error(failed[1], 0) end
end

function driver.run(fn) driver.together { fn } end

driver.pause = coroutine.yield

function driver.abandon(fn)
  local parked = false
  local task = pop3.start(fn, function()
    parked = true
    coroutine.yield()
  end)
  while not parked do
    local state, err = task:step(65536, 0.001)
    if state == "failed" then error(err, 0) end
    core.poll({}, FRAME)
  end
end

return driver
