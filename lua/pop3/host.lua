--- Where a connection waits: what the options `loop`, `wait` and `transport`
-- mean to the core. A host supplies one of three things:
--
-- * `wait(interests, deadline)`: it watches descriptors (an event loop);
-- * `connect(host, port, seconds)`: it makes streams (nginx);
-- * a stream that is there already: a transport, an object with the methods
--   `send(octets, seconds)`, `receive(max, seconds)` and `close()`.
--
-- Without any of them the core waits by itself, in poll(2).
--
-- @module pop3.host

local host = {}

local NAMES = {
  poll = true, cqueues = true, luv = true, copas = true, luasocket = true,
  nginx = true,
}

-- Functions that know whether we run inside their host: its loop, or nil.
local finders = {}

-- Functions that want to know of each connection that is made.
local adopters = {}

--- Let a host be found by itself.
-- @tparam function find returns the loop that runs the caller, or nil
-- @tparam[opt] function adopt is given each connection that is made
function host.add_finder(find, adopt)
  finders[#finders + 1], adopters[#adopters + 1] = find, adopt
end

--- Tell the hosts of a connection that is made.
function host.adopt(conn)
  for _, adopt in ipairs(adopters) do adopt(conn) end
end

-- In nginx everything but a cosocket would block the worker, and its users. The
-- loop is loaded now, which may be in init_by_lua: workers run as a user who
-- need not be able to read its file.
local ngx = rawget(_G, "ngx")
if type(ngx) == "table" and ngx.socket then
  local loop = require "pop3.loop.nginx"
  host.add_finder(function() return loop end)
end

local function current()
  for _, find in ipairs(finders) do
    local loop = find()
    if loop then return loop end
  end
end

local function bad(option, wanted, got)
  return ("bad option '%s' (%s expected, got %s)"):format(option, wanted, got)
end

-- In alphabetical order, as a sentence has them.
local function known_names()
  local names = {}
  for name in pairs(NAMES) do names[#names + 1] = '"' .. name .. '"' end
  table.sort(names)
  return table.concat(names, ", ")
end

local function index(object, key) return object[key] end

-- A userdata may not let itself be looked into.
local function has(object, method)
  local kind = type(object)
  if kind ~= "table" and kind ~= "userdata" then return false end
  local ok, found = pcall(index, object, method)
  return ok and type(found) == "function"
end

--- The first method that an object lacks to be a transport.
-- @return its name, or nil
function host.missing(transport)
  for _, method in ipairs { "send", "receive", "close" } do
    if not has(transport, method) then return method end
  end
end

-- What is wrong with the options, or nil.
local function check(options)
  local loop, transport = options.loop, options.transport
  local count = 0
  for _, option in ipairs { "loop", "wait", "transport" } do
    if options[option] then count = count + 1 end -- loop = false names none
  end
  if count > 1 then
    return "bad options (one of 'loop', 'wait' and 'transport' says where to "
      .. "wait)"
  end
  if type(loop) == "string" then
    if not NAMES[loop] then
      return bad("loop", "one of " .. known_names(),
        '"' .. loop:sub(1, 32) .. '"')
    end
  elseif loop and not has(loop, "wait") then
    return bad("loop", "a name, or an object with a method 'wait'", type(loop))
  end
  local missing = transport ~= nil and host.missing(transport)
  if missing then
    return bad("transport", "an object with a method '" .. missing .. "'",
      type(transport))
  end
end

local function use_loop(options, loop)
  if type(loop) == "string" then loop = require("pop3.loop." .. loop) end
  options.wait = function(conn, interests, deadline)
    return loop:wait(interests, deadline, conn)
  end
  if has(loop, "connect") then options.connector = loop end
  if has(loop, "unusable") then options.place = loop end
end

-- The place of connections that wait in their own way, whoever uses them.
local anywhere = {}

--- Turn a constructor's options into the core's: `wait`, `connector`,
-- `transport` and `place`, who knows where the connection may be used.
-- @tparam table options `loop` (an object, a name, or false: none, even where
-- one would be found), `wait`, `transport`; changed in place
-- @treturn ?string what is wrong with them
-- @treturn ?string why the caller cannot wait where it is
function host.choose(options)
  local loop, problem = options.loop, check(options)
  if problem then return problem end
  local open = loop == nil and not options.wait and not options.transport
  if open then loop = current() end
  options.loop, options.connector = nil, nil
  options.place = options.wait and anywhere
  if not loop then return nil end
  options.place = anywhere
  use_loop(options, loop)
  local ask = options.place.unusable
  return nil, ask and ask(loop)
end

return host
