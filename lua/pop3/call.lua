--- Running an operation of the C core to its end: the one place that waits,
-- fails, and calls Lua functions with what arrived.
--
-- The core never calls a Lua function. `core.turn` says in a word what there is
-- to do ("wait", "chunk", "item" ...), and what follows it are that word's
-- arguments; here the word's handler is called with them. So a handler, and
-- what it calls, may yield in every Lua.
--
-- @module pop3.call

local core = require "pop3.core"
local hosts = require "pop3.host"

local call = {}

-- What pop3.safe says in place of the text, so that callers may compare.
local SHORT = { closed = "closed", timeout = "timeout" }

--- The second result of pop3.safe.
function call.message(err)
  if type(err) ~= "table" then return err end
  if err.kind == "state" and err.name == "closed" then return "closed" end
  return SHORT[err.kind] or err.message
end

--- Raise, or return nil, message, err.
function call.fail(safe, err)
  if safe then return nil, call.message(err), err end
  error(err, 0)
end

-- ------------------------------------------------------------ handlers

local function show(_, text, sink)
  if sink then return sink(text) end
  io.stderr:write(text)
end

-- A connection that blocks has no waiter; a task's step lets it give way.
local function wait(conn, waiter, interests, deadline)
  if waiter then return waiter(conn, interests, deadline) end
  return call.steps:wait(interests, deadline, conn)
end

--- What is done for every operation.
local always = { trace = show, wait = wait }

-- ------------------------------------------------------------ a host's stream

-- What is left until a deadline, seconds.
local function left(deadline)
  local seconds = deadline - core.now()
  return seconds > 0 and seconds or 0
end

-- What a loop's connect returned: a transport, or why it is none.
local function checked(transport, ...)
  local missing = transport ~= nil and hosts.missing(transport)
  if not missing then return transport, ... end
  return nil, ("the loop's connect returned %s without a method '%s'"):format(
    type(transport), missing)
end

function always.connect(conn, loop, host, port, deadline)
  local transport, why, detail = checked(loop:connect(host, port,
    left(deadline)))
  local wanted = core.carried(conn, transport, why, detail)
  if transport and not wanted then transport:close() end
end

function always.secure(conn, transport, host, deadline)
  core.secured(conn, transport:secure(host, left(deadline)))
end

function always.send(conn, transport, octets, deadline)
  core.sent(conn, transport:send(octets, left(deadline)))
end

function always.receive(conn, transport, max, deadline)
  core.received(conn, transport:receive(max, left(deadline)))
end

function always.hangup(_, transport) transport:close() end

--- Why the connection's host does not let the caller use it here: an error
-- object, or nil. A stream or a loop may have the method `unusable`, which says
-- so, before an octet is sent.
function call.refusal(conn)
  local place = core.where(conn) or call.steps
  local ask = place.unusable
  local reason = ask and ask(place)
  return reason and core.misplaced(reason)
end

-- ------------------------------------------------------------ to the end

--- Do what a turn asked for.
-- @param on handlers of this call by the turn's words, or nil
function call.handle(conn, on, state, ...)
  local handler = on and on[state] or always[state]
  if handler then handler(conn, ...) end
end

--- Run to the end. Called with what the last turn said; the tail call makes
-- it a loop. `on.failed` and `on.done` hear of the end before the caller does.
function call.conclude(conn, on, state, ...)
  if state == "done" then
    if on and on.done then on.done(conn, ...) end
    return ...
  end
  if state == "failed" then
    if on and on.failed then on.failed(conn, ...) end
    return call.fail(core.is_safe(conn), (...))
  end
  local handler = on and on[state] or always[state] -- as call.handle
  if handler then handler(conn, ...) end
  return call.conclude(conn, on, core.turn(conn))
end

--- What `core.begin` returned, and then the operation to its end.
function call.settle(conn, err, on)
  if err ~= nil then return call.fail(core.is_safe(conn), err) end
  return call.conclude(conn, on, core.turn(conn))
end

--- The handlers of a call's options. Nobody has checked these where the call
-- was refused before its arguments were looked at.
function call.handlers(options)
  local progress = type(options) == "table" and rawget(options, "progress")
  if not progress then return {} end
  return { again = function(_, octets, hint) progress(octets, hint) end }
end

--- Does a receiver want no more? It says so by false, or by nil and a reason;
-- nothing, or anything else, goes on.
function call.is_enough(verdict, reason)
  return verdict == false or (verdict == nil and reason ~= nil)
end

--- Cancel the call if a receiver wants no more.
-- @treturn boolean whether it goes on
function call.judge(conn, verdict, reason)
  if not call.is_enough(verdict, reason) then return true end
  core.cancel(conn, reason)
  return false
end

--- An ordinary Lua argument error, at the place that called the method.
function call.bad_argument(position, method, wanted, got)
  error(("bad argument #%d to '%s' (%s expected, got %s)"):format(position,
    method, wanted, type(got)), 3)
end

return call
