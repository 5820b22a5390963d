--- The host in which the conformance spec runs: POP3_HOST says which.
--
-- A driver, spec/hosts/drivers/NAME.lua, returns a table:
--
--   available()  true, or nil and why there is no such host here. The other
--                functions are called only after it said true.
--   run(fn)      run `fn` inside of the host to its end, however often it
--                waits; raise what it raised, unchanged
--   options(options, host, port)
--                add what a connection to that server needs here to a table
--                that the driver may change, and return it; called inside
--   catches      false where pcall does not survive a wait (coroutines of PUC
--                Lua 5.1): claims use pop3.safe there instead of pcall
--   lacks        a table: what cannot be here -> why, in a sentence. Keys:
--                "connect" (the stream is connected before we see it), "name"
--                (of a server that is looked up), "fd", "address", "path" (a
--                sink that is a path), "descriptor" (a sink that is one)
--   pause()      let others of the host have their turn, once; inside. nil: no
--                such thing
--   together(list)
--                run functions at the same time, until all ended; outside. nil:
--                one at a time
--   abandon(fn)  run fn(park) inside until it calls park(), which does not
--                return; then forget the coroutine and whatever only it holds;
--                outside. nil: coroutines cannot be forgotten here
--
-- @module spec.hosts.host

local name = os.getenv "POP3_HOST" or "blocking"
local driver = require("spec.hosts.drivers." .. name)
local pop3 = require "pop3"

local unpack = unpack or table.unpack -- luacheck: ignore

local host = { name = name, driver = driver, lacks = driver.lacks or {} }

host.catches = driver.catches ~= false

--- What claims call: raising, where errors can be caught.
host.pop3 = host.catches and pop3 or pop3.safe

--- The options of a connection to server `s`, with this host's.
function host.options(s, options)
  local own = {}
  for key, value in pairs(options or {}) do own[key] = value end
  own.timeout = own.timeout or 20
  return driver.options(own, s.host, s.port)
end

--- The results of a call that must not fail.
function host.good(first, message, err, ...)
  if first == nil then error(err or message or "nil", 2) end
  return first, message, err, ...
end

--- Connect: a call that may fail, for `host.fails`.
-- @param s a server of spec.support.server
-- @tparam[opt] table options
-- @tparam[opt="POP3"] string class
function host.open(s, options, class)
  return host.pop3[class or "POP3"](s.host, s.port, host.options(s, options))
end

--- Connect, or fail the claim.
function host.connect(s, options, class)
  return host.good(host.open(s, options, class))
end

-- The error object of a call, from what pcall (or pop3.safe) made of it.
local function failure_of(ok, first, _, err)
  if not ok then return first end
  if first == nil and type(err) == "table" then return err end
  error("an error was expected, none came", 3)
end

--- The error of a call that must fail, of a method or of `host.open`.
function host.failure(fn, ...)
  if host.catches then return failure_of(pcall(fn, ...)) end
  return failure_of(true, fn(...))
end

--- The same, which must be of this kind and name.
function host.fails(kind, error_name, fn, ...)
  local err = host.failure(fn, ...)
  local got = type(err) == "table" and err.kind .. "/" .. err.name or "?"
  if got ~= kind .. "/" .. error_name then
    error(("%s/%s was expected, not %s: %s"):format(kind, error_name, got,
      tostring(err)), 2)
  end
  return err
end

--- Functions at the same time; `count` calls of fn(i).
function host.together(count, fn)
  local list = {}
  for i = 1, count do list[i] = function() return fn(i) end end
  return driver.together(list)
end

--- Run a raising call as all that the host runs, so that its error ends it.
-- @return the error
function host.last_words(fn, ...)
  local arguments = { ... }
  local ok, err = pcall(driver.run, function() fn(unpack(arguments)) end)
  assert(not ok, "an error was expected, none came")
  return err
end

return host
