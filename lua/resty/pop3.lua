--- POP3 for nginx and OpenResty, with the habits of lua-resty libraries: an
-- object first, milliseconds, and `nil, message, err` where something failed.
--
--     local pop3 = require "resty.pop3"
--     local c = pop3:new()
--     c:set_timeouts(1000, 5000, 5000)
--     local ok, message = c:open("pop3s://joe@mail.example.org/",
--       { password = "secret" })
--     if not ok then return ngx.log(ngx.ERR, message) end
--     local count = c:stat()
--
-- Every method of a connection (docs/options.md, docs/retrieving.md) is one of
-- the object's. See docs/nginx.md.
--
-- @classmod resty.pop3

local core = require "pop3.core"
local pop3 = require "pop3.safe"
local call = require "pop3.call"
local class = require "pop3.class"

local Client = { _VERSION = pop3._VERSION }
local meta = class("resty.pop3", Client)

local function merge(into, options)
  for key, value in pairs(options or {}) do into[key] = value end
  return into
end

--- A client that is not connected yet.
-- @tparam[opt] table options for each `connect` and `open`, see
-- docs/options.md
-- @treturn resty.pop3
function Client:new(options) -- luacheck: ignore self
  if options ~= nil and type(options) ~= "table" then
    call.bad_argument(1, "new", "option table", options)
  end
  return setmetatable({ options = merge({}, options) }, meta)
end

-- The core has one clock for both directions: it starts anew with each octet
-- that moves, either way.
local function idle_time(send, read)
  return math.max(send, read) / 1000
end

local function is_time(value) return type(value) == "number" and value > 0 end

--- How long to wait, milliseconds, from now on.
-- @tparam number connect from the name to the greeting
-- @tparam number send without an octet that leaves
-- @tparam number read without an octet that arrives; the longer of the two
-- counts for both
function Client:set_timeouts(connect, send, read)
  local given = { connect, send, read }
  for i = 1, 3 do
    if not is_time(given[i]) then
      call.bad_argument(i, "set_timeouts", "milliseconds, more than 0,",
        given[i])
    end
  end
  local idle = idle_time(send, read)
  self.options.connect_timeout = connect / 1000
  self.options.timeout = idle
  if self.conn then core.set_timeout(self.conn, idle) end
end

--- The same for all three.
-- @tparam number milliseconds
function Client:set_timeout(milliseconds)
  return self:set_timeouts(milliseconds, milliseconds, milliseconds)
end

-- Our loop and the client's options, below those of the call.
local function complete(self, options)
  return merge(merge({ loop = "nginx" }, self.options), options)
end

-- A connection that is there gives way to the next one, which may be none.
local function close(self)
  if self.conn then self.conn:close() end
  self.conn = nil
end

--- Connect and read the greeting. A connection that is there is closed.
-- @tparam string host name or address
-- @tparam[opt] number port 110, or 995 with `tls = "implicit"`
-- @tparam[opt] table options see docs/options.md
-- @treturn boolean true, or nil, message, err
function Client:connect(host, port, options)
  if type(port) == "table" then port, options = nil, port end
  local all = complete(self, options)
  close(self)
  local conn, message, err = pop3.POP3(host, port, all)
  self.conn = conn
  if not conn then return nil, message, err end
  return true
end

--- Connect and log in, by TLS from the first octet unless told otherwise. A
-- connection that is there is closed.
-- @param target a URL (`pop3s:`, `pop3:`, `pop:`), or a table of options
-- @tparam[opt] table options beside a URL; see docs/open.md
-- @treturn boolean true, or nil, message, err
-- @treturn ?table what came with the login, as `login` returns it
function Client:open(target, options)
  local given = options
  if options == nil and type(target) == "table" then given = target end
  if type(given) ~= "table" and given ~= nil then
    call.bad_argument(2, "open", "option table", given)
  end
  local all = complete(self, given)
  close(self)
  local conn, extras, err
  if given == target then conn, extras, err = pop3.open(all)
  else conn, extras, err = pop3.open(target, all) end
  self.conn = conn
  if not conn then return nil, extras, err end
  return true, extras
end

local function not_connected(name)
  return call.fail(true, core.misplaced(name
    .. ": not initialized (connect comes first)"))
end

-- As they are: a method that the connection learns is one of ours.
for name in pairs(core.methods) do
  Client[name] = function(self, ...)
    local conn = self.conn
    if not conn then return not_connected(name) end
    return conn[name](conn, ...)
  end
end

--- Close without QUIT, as often as you like.
-- @treturn boolean true, or nil, message, err where nothing was ever connected
function Client:close()
  if not self.conn then return not_connected "close" end
  self.conn:close()
  return true
end

local KEPT = "set_keepalive: a POP3 session is one user's and locks his "
  .. "mailbox, so it is kept for nobody: end it by quit() or close()"

--- There is no connection pool; see docs/nginx.md.
-- @return nil, message, err
function Client:set_keepalive() -- luacheck: ignore self
  return call.fail(true, core.misplaced(KEPT))
end

return Client
