--- A blocking script whose streams are LuaSocket's: `loop = "luasocket"`.

local driver = {}

driver.lacks = {
  fd = "the descriptor is LuaSocket's",
  address = "the address is known to LuaSocket only",
}

function driver.available()
  local ok, why = pcall(require, "socket")
  if not ok then return nil, why end
  return true
end

function driver.run(fn) fn() end

function driver.options(options)
  options.loop = "luasocket"
  return options
end

--- A coroutine that a script has made itself.
function driver.abandon(fn)
  local thread = coroutine.create(fn)
  local ok, err = coroutine.resume(thread, coroutine.yield)
  if not ok then error(err, 0) end
end

return driver
