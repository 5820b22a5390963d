--- From the command line to a connection: URL, TLS, login.
--
-- @module pop3.cli.server

local pop3 = require "pop3"
local url = require "pop3.url"
local interrupt = require "pop3.cli.interrupt"
local mechanisms = require "pop3.cli.mechanisms"
local password = require "pop3.cli.password"
local problem = require "pop3.cli.problem"

local server = {}

local NOT_VERIFIED = "pop3: WARNING: the certificate is not checked "
  .. "(--no-verify): anybody can pretend to be this server and read the "
  .. "password\n"

--- The port to connect to; with --srv nil: the DNS names it.
function server.port_of(parts, options)
  return not options.srv and parts.port or nil
end

-- The same of a URL as for pop3.open.
local function tls_of(parts, options)
  return url.tls(parts, options.allow_cleartext)
end

-- The proxy of the options; its password never stands in them.
local function proxy_of(options)
  local command = options.proxy_password_command
  if not command then return options.proxy end
  return { url = options.proxy, password = pop3.secret { command = command } }
end

--- The options of a connection; warns where nothing is verified.
function server.connection_options(parts, options)
  if options.no_verify and not options.pin then
    io.stderr:write(NOT_VERIFIED)
  end
  return {
    tls = tls_of(parts, options),
    srv = options.srv,
    proxy = proxy_of(options),
    unix_socket = options.unix_socket,
    pins = options.pin,
    allow_cleartext = options.allow_cleartext and not parts.tls or nil,
    timeout = options.timeout,
    connect_timeout = options.timeout,
    cafile = options.cafile,
    capath = options.capath,
    servername = options.servername,
    verify = not options.no_verify,
  }
end

-- The one mechanism that --auth or the URL wants, or nil.
local function auth_of(parts, options)
  if options.auth then return options.auth end
  if not parts.auth or parts.auth == "*" then return nil end
  local name, reason = mechanisms.check((parts.auth:gsub("^%+", "")))
  if name then return name end
  problem.raise(problem.USAGE, reason, "use ;AUTH=* or ;AUTH=+APOP")
end

-- With --srv a domain stands where the host does.
local function check_domain(parts)
  if parts.numbered then
    problem.raise(problem.USAGE, "with --srv the DNS names the port",
      "leave it out of the URL")
  end
  if parts.host:find(":", 1, true) or not parts.host:find("[^%d.]") then
    problem.raise(problem.USAGE, "--srv wants a domain, not an address",
      "leave --srv out")
  end
end

--- What the URL and the options say; raises a problem.
function server.describe(options)
  local parts, reason = url.parse(options.url)
  if not parts then
    problem.raise(problem.USAGE, reason, "see pop3 --help")
  end
  parts.user = options.user or parts.user
  if parts.user == "" then parts.user = nil end
  parts.auth = auth_of(parts, options)
  if options.proxy_password_command and not options.proxy then
    problem.raise(problem.USAGE, "--proxy-password-command is for a --proxy")
  end
  if options.srv then check_domain(parts) end
  return parts
end

--- Connect, without a login.
-- @param[opt] loop that the connection waits in
function server.connect(parts, options, loop)
  local wanted = server.connection_options(parts, options)
  wanted.loop = loop
  return pop3.POP3(parts.host, server.port_of(parts, options), wanted)
end

-- What the module calls a secret or a name that cannot be sent.
local CANNOT_BE_SENT = {
  { "^.-bad option 'user' to %S+ %((.*)%)", problem.USAGE, "user name" },
  { "^.-bad argument #1 to 'login' %((.*)%)", problem.USAGE, "user name" },
  { "^.-bad option 'password' to %S+ %((.*)%)", problem.DATA, "password" },
  { "^.-bad argument #2 to 'login' %((.*)%)", problem.DATA, "password" },
  { "^.-bad option 'token' to %S+ %((.*)%)", problem.DATA, "token" },
}

local CHECK = "check where it comes from"

-- A secret is read inside the login: what it fails by is not the network's.
local function explain(err, credentials)
  local what = credentials.token and "token" or "password"
  local reason, exit = problem.of_secret(err)
  if reason then
    problem.raise(exit, ("no %s: %s"):format(what, reason), CHECK)
  end
  for _, row in ipairs(CANNOT_BE_SENT) do
    reason = type(err) == "string" and err:match(row[1])
    if reason then
      problem.raise(row[2], ("the %s cannot be sent: %s"):format(row[3],
        reason), row[2] == problem.DATA and CHECK or nil)
    end
  end
  error(err, 0)
end

--- Log in on a connection that is open, by one mechanism; for what is more than
-- `open` does.
-- @tparam table credentials `password` or `token`
function server.log_in(conn, user, credentials, mechanism)
  local ok, err = pcall(conn.login, conn, user, credentials.password,
    { auth = mechanism, token = credentials.token })
  if ok then return end
  conn:close()
  explain(err, credentials)
end

-- Is it a token, or a password, that --auth wants?
local function check_kind(parts, given)
  if not parts.auth then return end
  local token = mechanisms.takes_token(parts.auth)
  if token and not (given and given.token) then
    problem.raise(problem.USAGE, parts.auth .. " takes a token",
      "give --token-command")
  end
  if not token and given and given.token then
    problem.raise(problem.USAGE, parts.auth .. " takes a password, no token")
  end
end

--- What the options name to log in with, or nil; it fits to the mechanism.
function server.given(parts, options)
  local given = password.given(options)
  if given then check_kind(parts, given) end
  return given
end

--- All that can go wrong before anybody connects: who logs in, where, and the
-- password, which is asked for if need be.
-- @treturn table for `open`
function server.prepare(options)
  local parts = server.describe(options)
  if not parts.user then
    problem.raise(problem.USAGE, "nobody to log in",
      "put the user into the URL (pop3s://USER@HOST) or give --user")
  end
  local credentials = server.given(parts, options)
  check_kind(parts, credentials)
  credentials = credentials or password.ask(parts.user, parts.host)
  return { parts = parts, credentials = credentials, options = options }
end

-- What pop3.open is told.
local function plan(prepared, loop, with)
  local parts = prepared.parts
  local wanted = server.connection_options(parts, prepared.options)
  wanted.host, wanted.loop = parts.host, loop
  wanted.port = server.port_of(parts, prepared.options)
  wanted.user, wanted.auth = parts.user, parts.auth
  wanted.password = prepared.credentials.password
  wanted.token = prepared.credentials.token
  for key, value in pairs(with or {}) do wanted[key] = value end
  return wanted
end

--- Connect and log in.
-- @param prepared what `prepare` returned
-- @tparam function try a pcall that may wait
-- @param[opt] loop that the connection waits in
-- @tparam[opt] table with what the login is to bring along
-- @return connection
-- @treturn table what it brought
function server.open(prepared, try, loop, with)
  local ok, conn, extras = try(pop3.open, plan(prepared, loop, with))
  if not ok then explain(conn, prepared.credentials) end
  interrupt.survive_writes()
  return conn, extras or {}
end

--- The listing of the mailbox, unless the login brought it.
function server.listing(conn, extras)
  if extras.errors and extras.errors.listing then
    error(extras.errors.listing, 0)
  end
  return extras.listing or conn:listing()
end

--- Ask for the password if need be, connect, log in, hand the connection to
-- `use`, and say QUIT when that returns. When it raises, nothing that was
-- marked is deleted: the connection is closed without QUIT.
function server.session(options, use, with)
  local conn, extras = server.open(server.prepare(options), pcall, nil, with)
  local ok, err = pcall(function()
    use(conn, extras)
    conn:quit()
  end)
  conn:close()
  if not ok then error(err, 0) end
end

return server
