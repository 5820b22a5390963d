--- From the command line to a connection: URL, TLS, login.
--
-- @module pop3.cli.server

local pop3 = require "pop3"
local url = require "pop3.url"
local interrupt = require "pop3.cli.interrupt"
local password = require "pop3.cli.password"
local problem = require "pop3.cli.problem"

local server = {}

local NOT_VERIFIED = "pop3: WARNING: the certificate is not checked "
  .. "(--no-verify): anybody can pretend to be this server and read the "
  .. "password\n"

-- The same of a URL as for pop3.open.
local function tls_of(parts, options)
  return url.tls(parts, options.allow_cleartext)
end

local function connection_options(parts, options)
  if options.no_verify then io.stderr:write(NOT_VERIFIED) end
  return {
    tls = tls_of(parts, options),
    allow_cleartext = options.allow_cleartext and not parts.tls or nil,
    timeout = options.timeout,
    connect_timeout = options.timeout,
    cafile = options.cafile,
    capath = options.capath,
    servername = options.servername,
    verify = not options.no_verify,
  }
end

--- What the URL and the options say; raises a problem.
function server.describe(options)
  local parts, reason = url.parse(options.url)
  if not parts then
    problem.raise(problem.USAGE, reason, "see pop3 --help")
  end
  if parts.auth and parts.auth ~= "*" and parts.auth ~= "+APOP" then
    problem.raise(problem.USAGE,
      "this version cannot log in by " .. parts.auth,
      "use ;AUTH=* or ;AUTH=+APOP")
  end
  parts.user = options.user or parts.user
  return parts
end

--- Connect, without a login.
-- @param[opt] loop that the connection waits in
function server.connect(parts, options, loop)
  local wanted = connection_options(parts, options)
  wanted.loop = loop
  return pop3.POP3(parts.host, parts.port, wanted)
end

-- What came with the login, if the server and the mechanism allow it.
local function log_in(conn, parts, secret, with)
  if parts.auth == "+APOP" then
    conn:apop(parts.user, secret)
    return {}
  end
  local _, extras = conn:login(parts.user, secret, with)
  return extras or {}
end

-- A secret is read inside the login: what it fails by is not the network's.
local function explain(err)
  local text = type(err) == "table" and tostring(err) or err
  if type(text) == "string" and text:find("^secret: ") then
    problem.raise(problem.NO_PERMISSION,
      "no password: " .. text:gsub("^secret: ", ""),
      "check where it comes from")
  end
  if type(err) == "string" and err:find("bad argument #2 to ", 1, true) then
    problem.raise(problem.DATA, "the password cannot be sent: "
      .. (err:match("%((.*)%)") or err), "check where it comes from")
  end
  if type(err) == "string" and err:find("bad argument #1 to ", 1, true) then
    problem.raise(problem.USAGE, "the user name cannot be sent: "
      .. (err:match("%((.*)%)") or err))
  end
  error(err, 0)
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
  local secret = password.get(options, parts.user, parts.host)
  return { parts = parts, secret = secret, options = options }
end

--- Connect and log in.
-- @param prepared what `prepare` returned
-- @tparam function try a pcall that may wait
-- @param[opt] loop that the connection waits in
-- @tparam[opt] table with what the login is to bring along
-- @return connection
-- @treturn table what it brought
function server.open(prepared, try, loop, with)
  local conn = server.connect(prepared.parts, prepared.options, loop)
  local ok, extras = try(log_in, conn, prepared.parts, prepared.secret, with)
  if not ok then
    conn:close()
    explain(extras)
  end
  interrupt.survive_writes()
  return conn, extras
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
