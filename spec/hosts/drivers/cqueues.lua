--- Coroutines of a cqueues controller.

local lua = require "spec.support.lua"

local driver = {}

-- PUC Lua 5.1 cannot yield through pcall.
driver.catches = lua.yields_anywhere

function driver.available()
  local ok, why = pcall(require, "cqueues")
  if not ok then return nil, why end
  return true
end

function driver.options(options)
  options.loop = "cqueues"
  return options
end


function driver.together(list)
  local controller = require("cqueues").new()
  for _, fn in ipairs(list) do controller:wrap(fn) end
  while not controller:empty() do
    local ok, why = controller:step()
    if not ok then error(why, 0) end
  end
end

function driver.run(fn) driver.together { fn } end

function driver.pause() require("cqueues").sleep(0) end

function driver.abandon(fn)
  local cqueues = require "cqueues"
  local controller, parked = cqueues.new(), false
  controller:wrap(function()
    fn(function()
      parked = true
      cqueues.sleep(1000)
    end)
  end)
  while not parked do
    local ok, why = controller:step()
    if not ok then error(why, 0) end
  end
end

return driver
