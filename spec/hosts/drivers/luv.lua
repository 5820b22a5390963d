--- Coroutines that libuv's callbacks resume.

local lua = require "spec.support.lua"

local driver = {}

-- PUC Lua 5.1 cannot yield through pcall.
driver.catches = lua.yields_anywhere

function driver.available()
  local ok, why = pcall(require, "luv")
  if not ok then return nil, why end
  return true
end

function driver.options(options)
  options.loop = "luv"
  return options
end

-- Run the loop until `is_over`, or a coroutine has failed.
local function run_until(is_over)
  local uv, adapter = require "luv", require "pop3.loop.luv"
  local raising, failed = adapter.on_error, nil
  adapter.on_error = function(err) failed = failed or { err } end
  while not failed and not is_over() and uv.run("once") do end
  adapter.on_error = raising
  if failed then error(failed[1], 0) end
end

local function start(fn, ...)
  local thread = coroutine.create(fn)
  local ok, err = coroutine.resume(thread, ...)
  if not ok then error(err, 0) end
  return thread
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
  assert(left == 0, "the loop ended before its coroutines")
end

function driver.run(fn) driver.together { fn } end

function driver.pause()
  local thread, timer = coroutine.running(), require("luv").new_timer()
  timer:start(0, 0, function()
    timer:close()
    local ok, err = coroutine.resume(thread)
    if not ok then require("pop3.loop.luv").on_error(err, thread) end
  end)
  coroutine.yield()
end

function driver.abandon(fn)
  local parked = false
  start(fn, function()
    parked = true
    coroutine.yield()
  end)
  run_until(function() return parked end)
end

return driver
