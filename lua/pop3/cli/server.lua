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

-- pop:// says nothing about TLS: we ask for STLS, and only --allow-cleartext
-- makes do without where the server has none.
local function tls_of(parts, options)
  if parts.tls then return parts.tls end
  return options.allow_cleartext and "opportunistic" or "starttls"
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
function server.connect(parts, options)
  return pop3.POP3(parts.host, parts.port, connection_options(parts, options))
end

local function log_in(conn, parts, secret)
  if parts.auth == "+APOP" then return conn:apop(parts.user, secret) end
  return conn:login(parts.user, secret)
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

--- Ask for the password if need be, connect, log in, hand the connection to
-- `use`, and say QUIT when that returns. When it raises, nothing that was
-- marked is deleted: the connection is closed without QUIT.
function server.session(options, use)
  local parts = server.describe(options)
  if not parts.user then
    problem.raise(problem.USAGE, "nobody to log in",
      "put the user into the URL (pop3s://USER@HOST) or give --user")
  end
  local secret = password.get(options, parts.user, parts.host)
  local conn = server.connect(parts, options)
  local ok, err = pcall(function()
    local in_time, reason = pcall(log_in, conn, parts, secret)
    if not in_time then explain(reason) end
    interrupt.survive_writes()
    use(conn)
    conn:quit()
  end)
  conn:close()
  if not ok then error(err, 0) end
end

return server
