--- `pop3.open`: from a URL, or a table of options, to a session that is logged
-- in; docs/open.md has the options.
--
-- What can be seen to be wrong is an ordinary Lua error before anybody
-- connects. From then on every failure closes the connection, at once: no QUIT,
-- which would be waited for, and nothing half open is left behind.
--
-- @module pop3.open

local core = require "pop3.core"
local call = require "pop3.call"
local compat = require "pop3.compat"
local reveal = require "pop3.reveal"
local url = require "pop3.url"

local open = {}

-- ------------------------------------------------------------ options

-- What login is told beside user and secret; the rest is the constructor's.
local OF_LOGIN = { "auth", "authzid", "channel_binding", "stat", "listing",
  "quit" }

-- Mechanisms by which nobody has to prove anything to the server, by name.
local WITHOUT_SECRET = {}
for _, mechanism in ipairs(core.mechanisms()) do
  WITHOUT_SECRET[mechanism.name] = not mechanism.secret
end

local SECRETS = { "password", "token" }

local function bad(option, what)
  return ("bad option '%s' to 'open' (%s)"):format(option, what)
end

local function missing(option, what)
  return ("missing option '%s' to 'open' (%s)"):format(option, what)
end

local function bad_argument(position, what)
  return ("bad argument #%d to 'open' (%s)"):format(position, what)
end

local function expected(wanted, got)
  return ("%s expected, got %s"):format(wanted, type(got))
end

-- The engine's rule for what goes into a command.
local function has_controls(text) return text:find("[%z\r\n]") ~= nil end

local CONTROLS = "contains CR, LF or NUL, which would end or inject a command"
local LINE_END = "the secret ends in a line end: strip it, or use pop3.secret, "
  .. "which strips one"

-- Must there be a secret to log in by `auth`, a name or a list of names?
local function proves(auth)
  if type(auth) == "string" then return not WITHOUT_SECRET[auth:upper()] end
  if type(auth) ~= "table" then return true end
  for _, name in ipairs(auth) do
    if proves(name) then return true end
  end
  return false
end

-- What is wrong with a secret, which is never shown; or nil.
local function check_secret(key, secret)
  local is_secret = type(secret) == "userdata"
    and getmetatable(secret) == "pop3.secret"
  if type(secret) == "function" or is_secret then return end
  if type(secret) ~= "string" then
    return bad(key, expected("string, function or pop3.secret", secret))
  end
  if secret:find("[\r\n]$") then return bad(key, LINE_END) end
  if has_controls(secret) then return bad(key, CONTROLS) end
end

local function check_secrets(options)
  local count = 0
  for _, key in ipairs(SECRETS) do
    if options[key] ~= nil then
      count = count + 1
      local problem = check_secret(key, options[key])
      if problem then return problem end
    end
  end
  if count == 2 then return bad("token", "it stands in place of a password") end
  if count == 0 and proves(options.auth) then
    return missing("password", "a string, a function or a pop3.secret; or a "
      .. "token; or an auth that needs neither")
  end
end

local function check_user(options)
  local user = options.user
  if user == nil or user == "" then
    if not proves(options.auth) then return end
    return missing("user", "who logs in")
  end
  if type(user) ~= "string" then
    return bad("user", expected("string", user))
  end
  if has_controls(user) then return bad("user", CONTROLS) end
end

local UNKNOWN = "no mechanism of ours: SCRAM-SHA-256, PLAIN, XOAUTH2, "
  .. "EXTERNAL, APOP, USER and others are"

-- What is wrong with a mechanism's name, or nil.
local function check_name(name)
  if type(name) ~= "string" then
    return bad("auth", expected("a mechanism's name or a list", name))
  end
  if not core.is_mechanism(name) then return bad("auth", UNKNOWN) end
end

-- A list becomes one of ours: the caller's may change while its secret's
-- function waits.
local function check_auth(options)
  local auth = options.auth
  if auth == nil then return end
  if type(auth) ~= "table" then return check_name(auth) end
  local names = {}
  for i = 1, #auth do
    names[i] = auth[i]
    local problem = check_name(names[i])
    if problem then return problem end
  end
  if #names == 0 then return bad("auth", "the list of names is empty") end
  options.auth = names
end

local BINDINGS = { prefer = true, require = true, disable = true }

-- The other options of the login.
local function check_login(options)
  local binding, authzid = options.channel_binding, options.authzid
  if binding ~= nil and not BINDINGS[binding] then
    return bad("channel_binding",
      '"prefer" or "require" or "disable" expected')
  end
  if authzid ~= nil and type(authzid) ~= "string" then
    return bad("authzid", expected("string", authzid))
  end
  if authzid and has_controls(authzid) then return bad("authzid", CONTROLS) end
  return check_auth(options)
end

local function is_port(port)
  return type(port) == "number" and port >= 1 and port <= 65535
    and port % 1 == 0
end

local function check_server(options)
  local host, port = options.host, options.port
  if host == nil then
    return missing("host", "the server; or give a URL in place of the options")
  end
  if type(host) ~= "string" then
    return bad("host", expected("string", host))
  end
  if host:find("://", 1, true) or host:find("@", 1, true) then
    return bad("host", "a name or an address expected; a URL stands before the "
      .. "options")
  end
  if not is_port(port) then
    return bad("port", "a number from 1 to 65535 expected")
  end
end

-- ------------------------------------------------------------ URLs

-- The URL says where, and how it is secured: no option says otherwise.
local function merge_server(options, parts)
  local port = (parts.numbered or not options.srv) and parts.port or nil
  local said = { host = parts.host, port = port, tls = parts.tls }
  for _, key in ipairs { "host", "port", "tls" } do
    if said[key] and options[key] ~= nil and options[key] ~= said[key] then
      return bad(key, "the URL says something else")
    end
    if said[key] then options[key] = said[key] end
  end
  options.tls = options.tls or url.tls(parts, options.allow_cleartext)
end

-- The mechanism behind ;AUTH= as the option `auth` has it; nil: any.
local function mechanism(parts)
  local auth = parts.auth
  if auth == "*" then return nil end
  return auth == "+APOP" and "APOP" or auth
end

-- Who logs in, and how, is the options', where they say it.
local function merge_url(options, text)
  local parts, reason = url.parse(text)
  if not parts then return bad_argument(1, reason) end
  local problem = merge_server(options, parts)
  if problem then return problem end
  if options.user == nil then options.user = parts.user end
  if options.auth == nil then options.auth = mechanism(parts) end
end

-- ------------------------------------------------------------ a plan

local Plan = {}
Plan.__index = Plan

-- From one table to another; what is moved, by name.
local function move(options, names)
  local moved = {}
  for _, name in ipairs(names) do
    moved[name], options[name] = options[name], nil
  end
  return moved
end

local function default_port(tls)
  local implicit = tls == nil or tls == "implicit"
  return implicit and core.POP3_SSL_PORT or core.POP3_PORT
end

-- The arguments as one table of our own; or nil, and what is wrong with them.
local function gather(target, more)
  local options = {}
  local given = type(target) == "table" and target or more
  if type(target) ~= "string" and type(target) ~= "table" then
    return nil, bad_argument(1, expected("URL or option table", target))
  end
  if more ~= nil and (type(more) ~= "table" or given == target) then
    return nil, bad_argument(2, given == target and "nothing follows a table"
      or expected("option table", more))
  end
  for key, value in pairs(given or {}) do options[key] = value end
  return options, type(target) == "string" and merge_url(options, target)
end

--- What is to be done, before anybody connects.
-- @param target a URL, or a table of options
-- @tparam[opt] table more options beside a URL
-- @treturn table `host`, `port` and `options` for the core's connect
-- @return or nil, and the text of an ordinary error
function open.plan(target, more)
  local options, problem = gather(target, more)
  if not options or problem then return nil, problem end
  if options.srv and options.port ~= nil then
    return nil, bad("port", "with srv the DNS names it: leave it out")
  end
  if options.port == nil then options.port = default_port(options.tls) end
  problem = check_server(options) or check_login(options)
    or check_user(options) or check_secrets(options)
  if problem then return nil, problem end
  local plan = move(options, { "host", "port", "user", "password", "token" })
  plan.login = move(options, OF_LOGIN)
  for _, key in ipairs { "stat", "listing", "quit" } do -- the core checks them
    options[key] = plan.login[key]
  end
  plan.options = options
  return setmetatable(plan, Plan)
end

-- ------------------------------------------------------------ secrets

local function give_up(conn, err)
  conn:close()
  return call.fail(core.is_safe(conn), err)
end

local function misuse(conn, text)
  conn:close()
  error(text, 0)
end

-- There is somebody to tell it now. What a function gives is looked at by the
-- login.
local function ask(conn, secret)
  local ok, value, refusal = compat.protected(reveal, secret)
  if not ok then misuse(conn, value) end
  return value, refusal
end

-- ------------------------------------------------------------ login

-- What login calls its arguments, in the words of the options.
local OPTION_OF = { ["#1"] = "user", ["#2"] = "password" }

local function in_our_words(text)
  local position, reason = text:match("bad argument (#%d) to 'login' (%(.*)$")
  local option = OPTION_OF[position]
  if option then
    return ("bad option '%s' to 'open' %s"):format(option, reason)
  end
  return (text:gsub("^.-(%w+ option )", "%1"):gsub("to 'login'", "to 'open'"))
end

local function begin(conn, ...)
  local ok, err = pcall(core.begin, conn, "login", ...)
  if ok then return err end
  misuse(conn, type(err) == "string" and in_our_words(err) or err)
end

local ON_END = { failed = function(conn) conn:close() end }

-- The results of the login as those of pop3.open.
local function logged_in(conn, status, ...)
  if status == nil then return nil, ... end
  return conn, ...
end

--- Log in by the connection that was opened, or close it.
-- @param conn or nil and what follows it in pop3.safe
-- @return the connection, and login's second result
function Plan:log_in(conn, ...)
  if conn == nil then return nil, ... end
  local key = self.token ~= nil and "token" or "password"
  local secret, refusal = self[key], nil
  if secret ~= nil then refusal = core.insecure(conn) end
  if not refusal then secret, refusal = ask(conn, secret) end
  if refusal then return give_up(conn, refusal) end
  self[key] = secret
  self.login.token = self.token
  local err = begin(conn, self.user, self.password, self.login)
  self.password, self.token, self.login.token = nil, nil, nil
  if err then return give_up(conn, err) end
  return logged_in(conn, call.conclude(conn, ON_END, core.turn(conn)))
end

return open
