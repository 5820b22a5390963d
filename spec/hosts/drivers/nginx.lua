--- A request of nginx, over cosockets. The spec itself runs in the worker:
-- spec/support/in_nginx.lua.

local ngx = rawget(_G, "ngx")

local driver = {}

local FILES = "files would block nginx"

driver.lacks = {
  fd = "a cosocket shows no descriptor",
  address = "a cosocket does not say whom it reached",
  path = FILES,
  descriptor = FILES,
}

function driver.available()
  if ngx and ngx.socket then return true end
  return nil, "this is not inside of nginx"
end

function driver.run(fn) fn() end

function driver.options(options) return options end

function driver.pause() ngx.sleep(0.001) end

function driver.together(list)
  local threads, first = {}, nil
  for i, fn in ipairs(list) do threads[i] = ngx.thread.spawn(fn) end
  for _, thread in ipairs(threads) do
    local ok, err = ngx.thread.wait(thread)
    if not ok and not first then first = { err } end
  end
  if first then error(first[1], 0) end
end

--- A light thread that is killed.
function driver.abandon(fn)
  local parked = false
  local thread = ngx.thread.spawn(fn, function()
    parked = true
    while true do ngx.sleep(1) end
  end)
  while not parked do ngx.sleep(0.001) end
  ngx.thread.kill(thread)
end

return driver
