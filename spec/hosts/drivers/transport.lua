--- A stream that nobody knows: the driver's own transport, over a socket of
-- LuaSocket's, but with the manners of a bad one: it takes 1,000 octets at
-- most, hands out odd amounts, and often says "timeout" too early.

local driver = {}

driver.lacks = {
  connect = "a transport is connected before it is handed over",
  name = "a transport is connected before it is handed over",
  fd = "a transport has no descriptor",
  address = "a transport has no address",
}

function driver.available()
  local ok, why = pcall(require, "socket")
  if not ok then return nil, why end
  return true
end

function driver.run(fn) fn() end

local Transport = {}
Transport.__index = Transport

-- 1 to 20,000, never a power of two.
local function odd_amount(self)
  self.turn = self.turn % 7 + 1
  return self.turn == 7 and 20000 or self.turn * self.turn * 37 + 1
end

function Transport:send(octets, seconds)
  self.sock:settimeout(math.min(seconds, 0.05))
  local last, reason, part = self.sock:send(octets:sub(1, 1000))
  if last then return last end
  return nil, reason, part -- octets that left although it failed
end

function Transport:receive(max, seconds)
  local socket = require "socket"
  socket.select({ self.sock }, nil, math.min(seconds, 0.05))
  self.sock:settimeout(0)
  local all, reason, part = self.sock:receive(math.min(max, odd_amount(self)))
  if all then return all end
  return nil, reason, part -- octets that came although it failed
end

function Transport:close() self.sock:close() end

function driver.options(options, host, port)
  local sock = assert(require("socket").connect(host, port))
  options.allow_cleartext = true -- whether the peer is this host is unknown
  options.transport = setmetatable({ sock = sock, turn = 0 }, Transport)
  return options
end

--- A coroutine that a script has made itself.
function driver.abandon(fn)
  local thread = coroutine.create(fn)
  local ok, err = coroutine.resume(thread, coroutine.yield)
  if not ok then error(err, 0) end
end

return driver
