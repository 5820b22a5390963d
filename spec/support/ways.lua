--- Ways through a scripted proxy to NAME, for specs.
--
--     local s = server.start { ways.socks("S: +OK ready", "C: NOOP", "S: +OK") }
--     local conn = ways.through(s, "socks5")

local certificates = require "spec.support.certificates"
local pop3 = require "pop3"

local ways = {}

local NAME = "mail.example.org"
ways.NAME = NAME

-- What a SOCKS5 proxy says, and the octets of a request that leads to NAME.
ways.GREETED = "\5\0"
ways.CONNECTED = "\5\0\0\1\0\0\0\0\0\0"
ways.REQUEST = 4 + 1 + #NAME + 2

--- The steps of a SOCKS5 proxy, and those that follow once it has connected.
function ways.socks(...)
  return { { read = 3 }, { send = ways.GREETED }, { read = ways.REQUEST },
    { send = ways.CONNECTED }, ... }
end

--- The same for HTTP.
function ways.http(...)
  return { { expect = ("CONNECT %s:110 HTTP/1.1"):format(NAME) },
    { expect = ("Host: %s:110"):format(NAME) }, { expect = "" },
    "S: HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n", ... }
end

--- A step behind either: who is there has mail, and may ask for TLS.
ways.MAILBOX = { mailbox = { messages = { "one\r\n" }, user = "joe",
  password = "secret", capa = { "STLS", "UIDL" },
  stls = certificates.server "exact" } }

--- The URL of `s` as a proxy, with a login (`user:password`) or without.
function ways.url(scheme, s, login)
  return ("%s://%s127.0.0.1:%d"):format(scheme, login and login .. "@" or "",
    s.port)
end

--- Connect through it to NAME.
-- @tparam[opt] table options of the connection, and `login`
function ways.through(s, scheme, options)
  local own = { connect_timeout = 20 }
  for key, value in pairs(options or {}) do own[key] = value end
  own.proxy, own.login = ways.url(scheme, s, own.login), nil
  return pop3.POP3(NAME, 110, own)
end

--- The record of a server's only connection, which had no complaints.
function ways.record(s)
  local report = s:report()
  if report.failed ~= 0 then
    error(table.concat(report.connections[1].errors, "; "), 2)
  end
  return report.connections[1]
end

return ways
