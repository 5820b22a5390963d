--- Tasks of pop3.loop.poll.

local Loop = require "pop3.loop.poll"

local lua = require "spec.support.lua"

local driver = {}

-- PUC Lua 5.1 cannot yield through pcall.
driver.catches = lua.yields_anywhere

local loop

function driver.available() return true end

function driver.options(options)
  options.loop = loop
  return options
end

function driver.together(list)
  loop = Loop.new()
  for _, fn in ipairs(list) do loop:spawn(fn) end
  loop:run()
end

function driver.run(fn) driver.together { fn } end

driver.pause = coroutine.yield

function driver.abandon(fn)
  local parked = {}
  loop = Loop.new()
  loop:spawn(fn, function()
    loop:stop(parked)
    coroutine.yield()
  end)
  local _, err = pcall(loop.run, loop)
  loop = nil
  if err ~= parked then error(err, 0) end
end

return driver
