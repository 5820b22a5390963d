--- A plain script: the module waits by itself.

local driver = {}

function driver.available() return true end

function driver.run(fn) fn() end

function driver.options(options) return options end

--- A coroutine that a script has made itself.
function driver.abandon(fn)
  local thread = coroutine.create(fn)
  local ok, err = coroutine.resume(thread, coroutine.yield)
  if not ok then error(err, 0) end
end

return driver
