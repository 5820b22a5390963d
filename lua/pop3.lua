--- POP3 and POP3 over TLS for Lua, shaped like Python's poplib.
--
-- A connection is a userdata with poplib's methods; what poplib returns as a
-- tuple comes as several results, and `error_proto` is raised as a table (see
-- docs/errors.md). `require "pop3.safe"` is the same module returning
-- `nil, message, err` instead of raising.
--
--     local pop3 = require "pop3"
--     local M = pop3.POP3_SSL("mail.example.org")
--     M:user("joe"); M:pass_(function() return ask_for_password() end)
--     for i = 1, (M:stat()) do
--       local resp, lines, octets = M:retr(i)
--     end
--     M:quit()
--
-- @module pop3

local core = require "pop3.core"
local call = require "pop3.call"
local retrieve = require "pop3.retrieve"
local authenticate = require "pop3.authenticate"
local messages = require "pop3.messages"
local hosts = require "pop3.host"
local open = require "pop3.open"
local proxies = require "pop3.proxy"
local reveal = require "pop3.reveal"
local start = require "pop3.task"

local VERSION = "poplib 0.1.0"

-- Shared by the raising module and the safe one: a default is a default.
local default_timeout = 60

-- ------------------------------------------------------------ methods

local methods = core.methods

-- What is one operation, and nothing else: user, stat, stls, ... A row in
-- csrc/lua_method.c is all that a new one needs. (The methods themselves call
-- core.begin, and no function between: C looks for the place that an argument
-- error names above the first Lua function.)
for _, name in ipairs(core.operations) do
  methods[name] = function(self, ...)
    return call.settle(self, call.refusal(self)
      or core.begin(self, name, ...))
  end
end

for name, method in pairs(retrieve) do methods[name] = method end

-- A table of our own, in which the face may change something.
local function copy(options)
  local own = {}
  for key, value in pairs(options) do own[key] = value end
  return own
end

--- Send the password (`PASS`).
-- @param password string, function called once, or `pop3.secret`
-- @treturn string the status line
function methods:pass_(password)
  local refusal, octets = call.refusal(self), nil
  if not refusal then octets, refusal = reveal(password) end
  return call.settle(self, refusal or core.begin(self, "pass_", octets))
end

--- Log in by the digest of the greeting's timestamp and a shared secret.
-- @tparam string user
-- @param secret string, function called once, or `pop3.secret`
-- @treturn string the status line
function methods:apop(user, secret)
  local refusal, octets = call.refusal(self), nil
  if not refusal then octets, refusal = reveal(secret) end
  return call.settle(self, refusal or core.begin(self, "apop", user, octets))
end

-- The options of login(), its token revealed; or nil and why there is none.
local function with_token(options)
  local token = type(options) == "table" and rawget(options, "token")
  if type(token) ~= "function" then return options end
  local own = copy(options)
  local octets, refusal = reveal(token)
  own.token = octets
  return own, refusal
end

--- Log in the strongest way that the server offers; see docs/login.md. Refuses
-- to send a secret in clear, unless the peer is this host or `allow_cleartext`
-- was given (kind `tls`, name `insecure`).
-- @tparam ?string user nil only with a token, EXTERNAL or ANONYMOUS
-- @param password string, function called once, `pop3.secret`, or nil
-- @tparam[opt] table options `auth` (a mechanism's name, or a list in order of
-- preference), `token` (of OAuth: string, function called once, or
-- `pop3.secret`), `authzid`, `channel_binding` ("prefer", "require",
-- "disable"); and what rides in the same flight, where the server allows it:
-- `stat`, `listing`, `quit`, each true
-- @treturn string the status line
-- @treturn ?table what came of it: `stat` (`count`, `octets`), `listing`,
-- `quit` (the status line), and `errors`, by the same names
function methods:login(user, password, options)
  local refusal, octets, own = call.refusal(self), nil, nil
  if not refusal then octets, refusal = reveal(password) end
  if not refusal then own, refusal = with_token(options) end
  return call.settle(self, refusal
    or core.begin(self, "login", user, octets, own))
end

methods.authenticate = authenticate

--- Start TLS (RFC 2595): CAPA, STLS, handshake.
-- @function methods:stls
-- @param[opt] context `pop3.context`, option table, or nil for the
-- constructor's options
-- @treturn string the status line of STLS

--- The messages, one after the other; see docs/retrieving.md.
-- @function methods:messages
-- @tparam[opt] table options `since` (UIDs that are known), `order` ("oldest",
-- "newest"), `ahead` (octets that are fetched ahead)
-- @treturn pop3.messages
methods.messages = messages

--- The server's greeting, `+OK` included, without its line end.
function methods:getwelcome() return core.welcome(self) end

--- Show what is sent and received: 1 commands, 2 every line, 0 nothing.
-- Secrets are replaced, control characters escaped.
-- @tparam number level
-- @tparam[opt] function sink is given each text; default: stderr
function methods:set_debuglevel(level, sink)
  local err = core.trace(self, level, sink)
  if err ~= nil then return call.fail(core.is_safe(self), err) end
end

--- What the connection is: `host`, `port`, `domain` (whose SRV record named
-- them), `address` (the peer's), `attempts` (addresses that were tried),
-- `proxy` (its URL, without a login), `unix_socket`, `fd` (nil where `restrict`
-- refuses it), `secure`, `closed`, `tls` (`version`, `cipher`, `group`, `alpn`,
-- `verified`, by whatever means, `resumed`).
-- @treturn table
function methods:info() return core.info(self) end

--- What TLS has come to, and who the server is: `version`, `cipher`, `bits`,
-- `group`, `alpn`, `servername`, `resumed`, `verified`, `verified_by`, and the
-- certificates: `chain` as they were sent, `verified_chain`. See docs/tls.md.
-- @treturn ?table nil in clear, when closed, and where the transport does TLS
function methods:tls_info() return core.tls_info(self) end

--- The socket's descriptor, or nil when closed; for polling only.
-- @treturn ?number
function methods:fd() return core.info(self).fd end

--- The TLS session, for the option `session` of a later connection, in another
-- process, too; it holds secrets. See docs/options.md.
-- @treturn ?string nil when there is nothing to resume (yet)
function methods:session_export() return core.session_export(self) end

--- Close without `QUIT`: deletions are lost. As often as you like.
function methods:close()
  local transport = core.close(self)
  if transport then transport:close() end
end

-- ------------------------------------------------------------ the module

-- Positions behind the host, and the option table in the last place, as one
-- table and a port.
local function arguments(class, names, ...)
  local count, given = select("#", ...), { ... }
  local options = {}
  if type(given[count]) == "table" then
    options = copy(given[count])
    count = count - 1
  end
  for i = 2, count do
    local name = names[i - 1]
    if name then
      if given[i] ~= nil then options[name] = given[i] end
    elseif given[i] ~= nil then
      error(("bad argument #%d to '%s' (option table expected, got %s)"):format(
        i + 1, class, type(given[i])), 3)
    end
  end
  if count < 1 then return nil, options end
  return given[1], options
end

-- With srv it is what stands there until the DNS has named another.
local function choose_port(class, port, options)
  if port ~= nil and options.srv then
    error(("bad argument #2 to '%s' (with srv the DNS names the port: leave "
      .. "it out)"):format(class), 3)
  end
  local implicit = class == "POP3_SSL" or options.tls == "implicit"
  return port or implicit and core.POP3_SSL_PORT or core.POP3_PORT
end

local function is_error_proto(err)
  return type(err) == "table" and rawget(err, "class") == core.error_proto
end

local function check_timeout(method, seconds)
  if seconds == nil then return end
  local ok = type(seconds) == "number" and seconds > 0
  if not ok then
    error(("bad argument #1 to '%s' (seconds, more than 0, or nil expected)")
      :format(method), 3)
  end
end

local function module(safe)
  local M = {
    _VERSION = VERSION,
    POP3_PORT = core.POP3_PORT,
    POP3_SSL_PORT = core.POP3_SSL_PORT,
    CR = "\r",
    LF = "\n",
    CRLF = "\r\n",
    --- The longest status line, octets with its line end; new connections
    -- take it from here, as in poplib.
    _MAXLINE = 2048,
    --- The class of what poplib would raise: `err.class == pop3.error_proto`.
    error_proto = core.error_proto,
    is_error_proto = is_error_proto,
  }

  -- Defaults of the module for what the caller left open; and why he cannot
  -- connect where he is, or by his proxy, as an error object, or nil.
  local function complete(options)
    if options.timeout == nil then
      options.timeout = default_timeout or math.huge
    end
    if options.max_line == nil then options.max_line = M._MAXLINE end
    local problem, misplaced = hosts.choose(options)
    local refusal = misplaced and core.misplaced(misplaced)
    if not problem and not refusal then
      problem, refusal = proxies.choose(options)
    end
    if problem then error(problem, 3) end
    return refusal
  end

  local function opened(conn, err)
    if conn == nil then return call.fail(safe, err) end
    hosts.adopt(conn)
    return call.settle(conn)
  end

  --- Connect and read the greeting.
  -- @tparam string host name or address
  -- @tparam[opt=110] number port
  -- @tparam[opt=60] number timeout seconds without an octet
  -- @tparam[opt] table options see docs/options.md
  -- @return a connection
  function M.POP3(host, ...)
    local port, options = arguments("POP3", { "timeout" }, ...)
    port = choose_port("POP3", port, options)
    local refusal = complete(options)
    if refusal then return call.fail(safe, refusal) end
    return opened(core.connect("POP3", safe, host, port, options))
  end

  --- Connect by TLS (RFC 8314) and read the greeting.
  -- @tparam string host name or address
  -- @tparam[opt=995] number port
  -- @tparam[opt] string keyfile the client certificate's key, a path or URI
  -- @tparam[opt] string certfile the client certificate, likewise
  -- @tparam[opt] table options see docs/options.md
  -- @return a connection
  function M.POP3_SSL(host, ...)
    local names = { "keyfile", "certfile" }
    local port, options = arguments("POP3_SSL", names, ...)
    port = choose_port("POP3_SSL", port, options)
    local refusal = complete(options)
    if refusal then return call.fail(safe, refusal) end
    return opened(core.connect("POP3_SSL", safe, host, port, options))
  end

  --- Connect and log in: TLS from the first octet, unless told otherwise.
  --
  --     local conn, extras = pop3.open("pop3s://joe@mail.example.org/",
  --       { password = pop3.secret { path = "/run/secrets/mail" },
  --         listing = true })
  --
  -- Whatever fails, the connection is closed.
  -- @param target a URL (`pop3s:`, `pop3:`, `pop:`), or a table of options
  -- @tparam[opt] table options beside a URL; see docs/open.md
  -- @return a connection that is logged in
  -- @treturn ?table what came with the login, as `login` returns it
  function M.open(target, options)
    local plan, problem = open.plan(target, options)
    if not plan then error(problem, 2) end
    local refusal = complete(plan.options)
    if refusal then return call.fail(safe, refusal) end
    return plan:log_in(opened(core.connect("open", safe, plan.host, plan.port,
      plan.options)))
  end

  --- Prepare TLS ahead of time: options checked, trust loaded, reusable.
  -- @tparam[opt] table options TLS options, see docs/options.md
  -- @return a context for `context =` and `stls(context)`
  function M.context(options)
    local context, err = core.context(options)
    if context == nil then return call.fail(safe, err) end
    return context
  end

  --- A password that is read when it is needed, used and wiped in C.
  -- @tparam table source one of `fd`, `path`, `command` and `env`
  -- @return a userdata, for wherever a password is expected
  function M.secret(source)
    local secret, err = core.secret(source)
    if secret == nil then return call.fail(safe, err) end
    return secret
  end

  --- What `list()` and `uidl()` said, as one compact object: `#l`, `l[i]`,
  -- `l:each()`, `l:find(uid)`, `l:without(known)` and more; see
  -- docs/listings.md.
  -- @tparam[opt] table list_lines the lines of `list()`
  -- @tparam[opt] table uidl_lines the lines of `uidl()`
  -- @return a listing
  function M.listing(list_lines, uidl_lines)
    return (core.listing(list_lines, uidl_lines)) -- errors name our caller
  end

  --- Run a function some octets at a time, in a host that must not wait; see
  -- docs/frames.md.
  -- @function M.start
  -- @tparam function fn plain sequential code
  -- @param ... its arguments
  -- @treturn pop3.task with the methods `step` and `cancel`
  M.start = start

  --- The default of `timeout` for connections made from now on.
  -- @tparam ?number seconds nil: none
  function M.setdefaulttimeout(seconds)
    check_timeout("setdefaulttimeout", seconds)
    default_timeout = seconds
  end

  --- @treturn ?number seconds
  function M.getdefaulttimeout() return default_timeout end

  --- Restrict, once and for all, what code in this Lua state may do with this
  -- module; see docs/sandbox.md. A second call is refused.
  -- @tparam table options `servers`, `ports`, `on_address`, `files`, `fds`,
  -- `debug`, `transport`, `ways`, `max_octets`, `max_connections`
  -- @treturn boolean true
  function M.restrict(options)
    local err = core.restrict(options)
    if err ~= nil then return call.fail(safe, err) end
    return true
  end

  --- The clock that deadlines are of: monotonic, seconds.
  -- @treturn number
  function M.now() return core.now() end

  return M
end

local pop3 = module(false)
--- The same module, returning `nil, message, err`; also `require "pop3.safe"`.
pop3.safe = module(true)

return pop3
