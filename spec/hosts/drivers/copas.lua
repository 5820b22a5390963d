--- Threads of Copas: 1.1.7, or 4 where it is found first (scripts/lanes/hosts).

local lua = require "spec.support.lua"

local driver = {}

-- PUC Lua 5.1 cannot yield through pcall.
driver.catches = lua.yields_anywhere

function driver.available()
  local ok, why = pcall(require, "copas")
  if not ok then return nil, why end
  return true
end

function driver.options(options)
  options.loop = "copas"
  return options
end

-- The error of a thread, which Copas would only show.
local failed

local function start(fn)
  local copas = require "copas"
  copas.addthread(function()
    copas.setErrorHandler(function(err) failed = failed or { err } end)
    fn()
  end)
end

-- Copas 1.1.7 has no timers: it needs a step now and then for deadlines.
local function run_until(is_over)
  while not failed and not is_over() do require("copas").step(0.05) end
  local raised = failed
  failed = nil
  if raised then error(raised[1], 0) end
end

function driver.together(list)
  local left = #list
  for _, fn in ipairs(list) do
    start(function()
      fn()
      left = left - 1
    end)
  end
  run_until(function() return left == 0 end)
end

function driver.run(fn) driver.together { fn } end

function driver.pause() require("pop3.loop.copas"):wait({}, 0) end

-- Copas 4 holds a thread that sleeps for ever by a weak key, 1.1.7 none that
-- yields to nobody.
local function sleep()
  local copas = require "copas"
  if copas.pauseforever then copas.pauseforever() else coroutine.yield() end
end

function driver.abandon(fn)
  local parked = false
  start(function()
    fn(function()
      parked = true
      sleep()
    end)
  end)
  run_until(function() return parked end)
end

return driver
