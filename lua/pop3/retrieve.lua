--- The methods that retrieve messages, one or many, in whatever shape.
--
-- @module pop3.retrieve

local core = require "pop3.core"
local call = require "pop3.call"
local reader = require "pop3.reader"

local methods = {}

--- Retrieve a message (poplib's `retr`).
-- @param which message number
-- @tparam[opt] table options `progress`: a function that is given the octets
-- so far and the octets announced, or nil, about ten times a second while they
-- flow
-- @treturn string the status line
-- @treturn table its lines, without line ends, dots unstuffed
-- @treturn number its octets, line ends included
function methods:retr(which, options)
  local err = call.refusal(self)
    or core.begin(self, "retr", which, options)
  return call.settle(self, err, call.handlers(options))
end

--- Retrieve the header of a message and the first lines of its body.
-- @param which message number
-- @param howmuch lines of the body
-- @tparam[opt] table options as `retr`'s
-- @return as `retr`
function methods:top(which, howmuch, options)
  local err = call.refusal(self)
    or core.begin(self, "top", which, howmuch, options)
  return call.settle(self, err, call.handlers(options))
end

--- Retrieve a message as one string.
-- @param which message number
-- @tparam[opt] table options `top` (lines of the body: TOP instead of RETR),
-- `eol` ("crlf", "lf"), `progress`, `max_octets`, `hash` (a digest's name)
-- @treturn string the message
-- @treturn number its octets
-- @treturn ?string the digest, lower-case hex
function methods:retr_string(which, options)
  local err = call.refusal(self)
    or core.begin(self, "retr_string", which, options)
  return call.settle(self, err, call.handlers(options))
end

-- ------------------------------------------------------------ sinks

-- Tell a function how its message ended. It may still refuse a complete one.
local function tell_done(sink)
  local verdict, reason = sink(nil)
  if call.is_enough(verdict, reason) then return core.aborted(reason) end
end

-- The results, unless the sink refused a complete message.
local function accepted(self, ending, ...)
  if ending.refused then
    return call.fail(core.is_safe(self), ending.refused)
  end
  return ...
end

--- Retrieve a message into a sink.
-- @param which message number
-- @param sink a function (LTN12's sinks are some), which is called with each
-- piece, and then with nil, or with nil, a message and an error if there are
-- not all pieces; an open Lua file; a descriptor; or `{ path = }`, a file that
-- must not exist, is durable when this returns, and removed if it fails
-- @tparam[opt] table options as `retr_string`'s
-- @treturn number octets that the sink was given
-- @treturn ?string their digest, lower-case hex
function methods:retr_to(which, sink, options)
  local err = call.refusal(self)
    or core.begin(self, "retr_to", which, sink, options)
  if err ~= nil or type(sink) ~= "function" then
    return call.settle(self, err, call.handlers(options))
  end
  local on = call.handlers(options)
  local listening, ending = true, {}
  function on.chunk(conn, chunk)
    listening = call.judge(conn, sink(chunk)) and listening
  end
  function on.done() ending.refused = tell_done(sink) end
  function on.failed(_, failure)
    if listening then sink(nil, call.message(failure), failure) end
  end
  return accepted(self, ending, call.settle(self, nil, on))
end

--- A message's lines, one after the other.
-- @param which message number
-- @tparam[opt] table options as `retr_string`'s
-- @treturn pop3.reader
function methods:retr_lines(which, options)
  local err = call.refusal(self)
    or core.begin(self, "retr_lines", which, options)
  return reader.open(self, err, call.handlers(options))
end

--- A message's octets, piece by piece as they arrive.
-- @param which message number
-- @tparam[opt] table options as `retr_string`'s
-- @treturn pop3.reader
function methods:retr_chunks(which, options)
  local err = call.refusal(self)
    or core.begin(self, "retr_chunks", which, options)
  return reader.open(self, err, call.handlers(options))
end

-- ------------------------------------------------------------ many

-- A list of its own, which no callback can change; begin complains of others.
local function copy_list(list)
  local own = {}
  if type(list) ~= "table" then return list end
  for i = 1, #list do own[i] = list[i] end
  return own
end

-- Each message is handed to `callback` as a string.
local function to_callback(on, numbers, callback, counts)
  local at = 0
  function on.item(conn, text, digest)
    at = at + 1
    counts.good = counts.good + 1
    call.judge(conn, callback(numbers[at], text, nil, digest))
  end
  function on.refused(conn, err)
    at = at + 1
    counts.bad = counts.bad + 1
    call.judge(conn, callback(numbers[at], nil, err))
  end
end

-- Each message goes into a sink of its own.
local function to_sinks(on, numbers, receiver, counts)
  local at, sink = 1, nil
  local done = receiver.done or function() end
  function on.open(conn)
    local target = receiver.sink(numbers[at])
    core.deliver(conn, target)
    sink = type(target) == "function" and target or nil
  end
  function on.chunk(conn, chunk)
    if not call.judge(conn, sink(chunk)) then sink = nil end
  end
  function on.item(conn, octets, digest)
    local told = sink
    local number = numbers[at]
    sink, at, counts.good = nil, at + 1, counts.good + 1
    if told and not call.judge(conn, told(nil)) then return end
    call.judge(conn, done(number, octets, nil, digest))
  end
  function on.refused(conn, err)
    local number = numbers[at]
    at, counts.bad = at + 1, counts.bad + 1
    call.judge(conn, done(number, nil, err))
  end
  function on.failed(_, err)
    if sink then sink(nil, call.message(err), err) end
  end
end

local function is_receiver(value)
  return type(value) == "table" and type(value.sink) == "function"
    and (value.done == nil or type(value.done) == "function")
end

-- The counts, unless it failed.
local function counted(counts, ...)
  if select("#", ...) > 0 then return ... end
  return counts.good, counts.bad
end

--- Retrieve many messages, as many in flight as the server allows.
-- @tparam table numbers message numbers
-- @param receiver a function, called as (number, text, nil, digest) with each
-- message, in this order, and as (number, nil, err) for one that the server
-- refuses; or a table with `sink`, a function that is given a number and
-- returns what `retr_to` takes (nil: nowhere), and perhaps `done`, called as
-- (number, octets, nil, digest) or (number, nil, err). false, or nil and a
-- reason, from any of them ends it (`aborted`).
-- @tparam[opt] table options as `retr_string`'s, and `quit`: say QUIT in the
-- same flight (only while nothing is marked for deletion)
-- @treturn number messages retrieved
-- @treturn number messages refused
function methods:retr_many(numbers, receiver, options)
  core.is_safe(self, "retr_many") -- or no connection at all
  local streams = is_receiver(receiver)
  if not streams and type(receiver) ~= "function" then
    call.bad_argument(2, "retr_many", "function or { sink = function }",
      receiver)
  end
  local name = streams and "retr_many_into" or "retr_many"
  local own = copy_list(numbers)
  local err = call.refusal(self)
    or core.begin(self, name, own, receiver, options)
  local on, counts = call.handlers(options), { good = 0, bad = 0 }
  local connect = streams and to_sinks or to_callback
  connect(on, own, receiver, counts)
  return counted(counts, call.settle(self, err, on))
end

--- Mark many messages for deletion, as many in flight as the server allows.
-- @tparam table numbers message numbers
-- @treturn number messages marked
-- @treturn number messages refused
-- @treturn table number -> error object
function methods:dele_many(numbers)
  local own = copy_list(numbers)
  local err = call.refusal(self)
    or core.begin(self, "dele_many", own)
  local counts, errors, at = { good = 0, bad = 0 }, {}, 0
  local on = {}
  function on.item() at, counts.good = at + 1, counts.good + 1 end
  function on.refused(_, failure)
    at, counts.bad = at + 1, counts.bad + 1
    errors[own[at]] = failure
  end
  local function results(...)
    if select("#", ...) > 0 then return ... end
    return counts.good, counts.bad, errors
  end
  return results(call.settle(self, err, on))
end

return methods
