--- A message as an iterator: by lines, or by pieces as they arrive.
--
-- `reader:next()`, or the reader itself in a `for` (which cannot yield in
-- PUC Lua 5.1). While it is not at its end, every other call on the connection
-- is a `state` error, `busy`.
--
-- @classmod pop3.reader

local core = require "pop3.core"
local call = require "pop3.call"
local class = require "pop3.class"

local Reader = {}
local meta = class("pop3.reader", Reader)

--- Octets of the message, digest of it: when it is complete.
-- @field octets
-- @field digest
-- @field error the error object, if reading failed

local function finish(self)
  self.finished = true
  self.lines, self.conn = nil, nil
end

local step

-- What a turn said: a value to return, or go on.
local function take(self, state, ...)
  if state == "lines" then
    self.lines, self.count = ...
    self.at = 1
    return self.lines[1]
  end
  if state == "chunk" then return (...) end
  if state == "done" then
    finish(self)
    self.octets, self.digest = ...
    return nil
  end
  if state == "failed" then
    finish(self)
    self.error = (...)
    return call.fail(self.safe, self.error)
  end
  call.handle(self.conn, self.on, state, ...)
  if self.finished then return nil end -- the handler closed it
  return step(self)
end

function step(self)
  local refusal = call.refusal(self.conn)
  if refusal then return call.fail(self.safe, refusal) end
  return take(self, core.turn(self.conn))
end

--- The next line without its end, or the next piece; nil at the message's end.
-- Raises if the message is not complete (`pop3.safe`: nil, message, err), and
-- does so again when it is called again.
function Reader:next()
  local lines = self.lines
  if lines and self.at < self.count then
    self.at = self.at + 1
    return lines[self.at]
  end
  if self.error then return call.fail(self.safe, self.error) end
  if self.finished then return nil end
  return step(self)
end

function meta:__call() return self:next() end

--- Stop reading. What is left of the message is read and thrown away; if that
-- is more than 1 MiB, the connection is closed instead.
function Reader:close()
  local conn = self.conn
  if self.finished or call.refusal(conn) then return end
  finish(self)
  core.cancel(conn)
  local state, a, b, c
  repeat
    state, a, b, c = core.turn(conn)
    if state ~= "failed" then call.handle(conn, nil, state, a, b, c) end
  until state == "failed" or state == "done"
end

function meta:__close() self:close() end

function meta:__tostring()
  return "pop3.reader" .. (self.finished and " (finished)" or "")
end

-- Until the message begins; a refusal comes before that.
local function open(conn, on, state, ...)
  if state == "open" then return true end
  if state == "failed" then return call.fail(core.is_safe(conn), (...)) end
  call.handle(conn, on, state, ...)
  return open(conn, on, core.turn(conn))
end

-- In a `for` Lua 5.4 closes the fourth value when the loop is left.
local function with_closer(reader) return reader, nil, nil, reader end

local function made(conn, on, opened, ...)
  if not opened then return opened, ... end
  local safe = core.is_safe(conn)
  local reader = { conn = conn, on = on, safe = safe }
  return with_closer(setmetatable(reader, meta))
end

--- Wait until a message, whose command was begun, begins.
-- @param err what `core.begin` returned
local function read(conn, err, on)
  if err ~= nil then return call.fail(core.is_safe(conn), err) end
  return made(conn, on, open(conn, on, core.turn(conn)))
end

return { open = read }
