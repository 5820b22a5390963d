--- One port of a server, asked in a few short connections what it can do.
--
-- Nothing is sent but what every server has to understand (CAPA, QUIT) and
-- what this one announced, because servers hang up on a client that errs
-- again and again. A secret leaves once in a run at most, and only on a
-- connection whose certificate was verified.
--
-- @module pop3.cli.probe.door

local pop3 = require "pop3"
local certificate = require "pop3.cli.probe.certificate"
local mechanisms = require "pop3.cli.mechanisms"
local problem = require "pop3.cli.problem"
local server = require "pop3.cli.server"

local Door = {}
Door.__index = Door

-- Seconds without an octet; somebody waits for the page.
local TIMEOUT = 10
-- A server that drips must not keep us for ever.
local MOST_PATIENCE = 6
-- Messages of a mailbox that is still listed: LIST and UIDL of them are small.
local MOST_LISTED = 10000

-- Errors of kind "tls" behind which a look without verification is worth it.
local LOOK_AGAIN = {
  handshake = true, certificate = true, hostname = true, alpn = true,
  pin = true, dane = true, revoked = true, ocsp = true,
}

-- Options that take anything, to see what there is.
local function anything(err)
  return {
    verify = false, check_hostname = false, min_version = "1.0",
    security_level = 0, ciphers = "ALL", resume = false,
    alpn = err.name ~= "alpn",
  }
end

--- @tparam table parts of the URL
-- @tparam table options of the command line
-- @tparam table run what all doors share: `credentials` for one login, or nil
function Door.new(parts, options, run)
  return setmetatable({
    parts = parts,
    options = options,
    run = run,
    entry = parts.tls == "implicit" and "implicit" or "starttls",
    capabilities = {},
    seen = {},         -- response codes, as keys
    login = {},
    pipelining = {},
  }, Door)
end

function Door:url()
  local parts = self.parts
  local host = parts.host:find(":", 1, true) and "[" .. parts.host .. "]"
    or parts.host
  return ("%s://%s:%d"):format(
    self.entry == "implicit" and "pop3s" or "pop3", host, parts.port)
end

-- ------------------------------------------------------------ steps that fail

-- Not signals, problems of the command line's, or options that are wrong.
local function of_server(err)
  if type(err) ~= "table" or not err.kind then return false end
  if problem.of_secret(err) then return false end
  return not (err.kind == "tls" and err.name == "config")
end

-- A pcall that catches the server's errors.
local function attempt(self, fn, ...)
  local ok, a, b = pcall(fn, ...)
  if ok then return true, a, b end
  if not of_server(a) then error(a, 0) end
  if a.code then self.seen[a.code] = true end
  return false, a
end

-- ------------------------------------------------------------ one connection

local function connect(self, changes)
  local wanted = server.connection_options(self.parts, self.options)
  wanted.timeout = self.options.timeout or TIMEOUT
  wanted.connect_timeout = wanted.timeout
  wanted.total_timeout = wanted.timeout * MOST_PATIENCE
  wanted.max_items = MOST_LISTED * 2
  wanted.allow_cleartext = nil
  for key, value in pairs(changes) do wanted[key] = value end
  if changes.verify == false then wanted.pins = nil end
  return pop3.POP3(self.parts.host, self.parts.port, wanted)
end

-- The mechanisms of all SASL lines: one list, as a login reads them.
local function all_of(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Capabilities by their names in upper case; nil where there is no CAPA.
local function ask_capabilities(self, conn, when)
  local ok, found = attempt(self, conn.capabilities, conn)
  if not ok then
    if conn:info().closed then error(found, 0) end
    return nil
  end
  local upper = { SASL = found.sasl and all_of(found.sasl) }
  for name, words in pairs(found) do
    if name == name:upper() then upper[name] = upper[name] or words end
  end
  self.capabilities[when] = upper
  return upper
end

-- Nothing depends on what QUIT says.
local function leave(self, conn)
  attempt(self, conn.quit, conn)
  conn:close()
end

-- Greeting, capabilities, TLS: on a connection that verifies, or on one that
-- takes anything.
local function walk_in(self, conn)
  local info = conn:info()
  self.greeting = conn:getwelcome()
  self.address, self.proxy = info.address, info.proxy
  if self.entry == "starttls" then
    local clear = ask_capabilities(self, conn, "clear")
    if not clear or not clear.STLS then
      self.without_tls = true
      return
    end
    conn:stls()
  end
  self.tls = conn:info().tls
  self.certificate = certificate.of(conn)
  ask_capabilities(self, conn, "tls")
  self.answered = true
end

local function look(self, changes)
  changes.tls = self.entry == "implicit" and "implicit" or "none"
  local ok, conn = attempt(self, connect, self, changes)
  if not ok then
    self.refusal = conn.response
    return conn
  end
  local done, err = attempt(self, walk_in, self, conn)
  if done then leave(self, conn) end
  conn:close()
  return not done and err or nil
end

-- ------------------------------------------------------------ the login

-- A secret that cannot be had or sent is nothing of the server's, and no reason
-- to keep to ourselves what was found out.
local OF_SECRET = { [problem.NO_PERMISSION] = true,
  [problem.NO_INPUT] = true, [problem.DATA] = true }

local function of_secret(err)
  return type(err) == "table" and OF_SECRET[err.exit] or false
end

-- The one login of a run, whatever comes of it.
local function log_in(self, conn)
  local credentials = self.run.credentials
  self.run.credentials = nil
  self.run.tried, self.login.tried = true, true
  self.login.user = self.parts.user
  local ok, done, err = pcall(attempt, self, server.log_in, conn,
    self.parts.user, credentials, self.login.would_use)
  if ok then return done, err end
  if not of_secret(done) then error(done, 0) end
  self.login.tried, self.login.unsent = false, done.text
  return false, done
end

-- LIST and UIDL in one segment; only where both replies come it is honoured.
local function try_pipelining(self, conn, capabilities, count)
  local its = self.pipelining
  if not its.announced then return end
  its.untried = not capabilities.UIDL and "there is no UIDL to try it with"
    or count > MOST_LISTED and "the mailbox is too large" or nil
  if its.untried then return end
  local ok, err = attempt(self, conn.listing, conn)
  if not ok and err.name == "refused" then
    its.untried = "the server refused LIST"
  else
    its.honoured = ok
  end
end

local function look_inside(self, conn)
  local capabilities = ask_capabilities(self, conn, "login") or {}
  self.pipelining.announced = self.pipelining.announced
    or capabilities.PIPELINING ~= nil
  local count, octets = conn:stat()
  self.login.messages, self.login.octets = count, octets
  try_pipelining(self, conn, capabilities, count)
end

-- The second connection resumes the first one's session, if the server allows
-- it, and is the only one that logs in.
local function come_again(self)
  local ok, conn = attempt(self, connect, self, { tls = self.entry })
  if not ok then
    self.refused_again = conn
    self.error = self.run.credentials and conn
    return
  end
  self.resumed = conn:info().tls.resumed
  if self.run.credentials and self.login.would_use then
    local done, err = log_in(self, conn)
    self.login.ok = done
    if done then
      local _, later = attempt(self, look_inside, self, conn)
      self.login.later = later
    else
      self.login.error = err
    end
  end
  leave(self, conn)
end

-- ------------------------------------------------------------ all of it

local function choose_mechanism(self)
  local capabilities = self.capabilities.tls
  self.offered = mechanisms.offered(capabilities,
    self.entry == "implicit" and self.greeting or nil)
  local credentials = self.run.credentials
  self.login.by_token = credentials and credentials.token ~= nil
  self.login.would_use = mechanisms.choose(self.offered, self.parts.auth,
    self.login.by_token)
  self.pipelining.announced = capabilities ~= nil
    and capabilities.PIPELINING ~= nil
end

--- Ask everything. Afterwards the fields say what came of it: `error` is why
-- there is no safe login, or nil; `unverified`, that the rest was seen by a
-- look that trusts anybody; `answered`, that CAPA was, also by a refusal.
function Door:probe()
  self.error = look(self, {})
  local err = self.error
  if err and err.kind == "tls" and LOOK_AGAIN[err.name] then
    look(self, anything(err))
    self.unverified = self.tls ~= nil
  end
  if self.answered then choose_mechanism(self) end
  if err or self.without_tls then return end
  come_again(self)
end

return Door
