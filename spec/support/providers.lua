--- Servers that stand in for mail providers', for the code of
-- docs/providers.md: each shows its certificate to who asks for its name only,
-- announces what the real one was seen to, and lets in by what that one lets in.
--
--     local providers = require "spec.support.providers"
--     local s = providers.start "pop.gmail.com"     -- spec.support.server's

local certificates = require "spec.support.certificates"
local server = require "spec.support.server"

local providers = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- Base64 of RFC 4648, by hand: the specs' own, not the module's.
local function base64(octets)
  local out = {}
  for i = 1, #octets, 3 do
    local a, b, c = octets:byte(i, i + 2)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 3, 0, -1 do
      local at = math.floor(bits / 64 ^ shift) % 64 + 1
      out[#out + 1] = ALPHABET:sub(at, at)
    end
    if not b then out[#out - 1] = "=" end
    if not c then out[#out] = "=" end
  end
  return table.concat(out)
end

--- A regular expression that matches `text` and nothing else.
local function exactly(text) return (text:gsub("[%+%.%?%*%(%)%[%]]", "\\%0")) end

-- By what somebody gets in: rules of scripted.py's `answers`.
local ways = {
  PLAIN = function(user, secret, welcome)
    local response = base64("\0" .. user .. "\0" .. secret)
    return {
      { "AUTH PLAIN " .. exactly(response), welcome },
      { "AUTH PLAIN", { { send = "+ \r\n" }, { expect = response },
                        { send = welcome } } },
    }
  end,
  -- Two lines, as Microsoft wants it; others take that, too.
  XOAUTH2 = function(user, secret, welcome)
    local response = base64("user=" .. user .. "\1auth=Bearer " .. secret
      .. "\1\1")
    return {
      { "AUTH XOAUTH2", { { send = "+ \r\n" }, { expect = response },
                          { send = welcome } } },
    }
  end,
  -- Behind the user come host, port and token; the port differs each time.
  OAUTHBEARER = function(user, _, welcome)
    local known = base64("n,a=" .. user .. ",\1host="):sub(1, -5)
    return {
      { "AUTH OAUTHBEARER " .. exactly(known) .. ".*", welcome },
      { "AUTH OAUTHBEARER", { { send = "+ \r\n" },
                              { match = exactly(known) .. ".*" },
                              { send = welcome } } },
    }
  end,
}

-- What each is like. `by` are the ways in; `refused` is what anybody else is
-- told, passwords by USER and PASS among them where there is no PASS in `by`.
local rows = {
  ["pop.gmail.com"] = {
    greeting = "+OK Gpop ready for requests from 192.0.2.7 hv19mb95710270qab",
    capa = { "USER", "RESP-CODES", "EXPIRE 0", "LOGIN-DELAY 300", "TOP",
      "UIDL", "X-GOOGLE-RICO", "SASL PLAIN XOAUTH2 OAUTHBEARER" },
    by = { "PLAIN", "XOAUTH2", "OAUTHBEARER" },
    welcome = "+OK Welcome.",
    refused = "-ERR [AUTH] Username and password not accepted.",
  },
  ["outlook.office365.com"] = {
    greeting = "+OK The Microsoft Exchange POP3 service is ready.",
    capa = { "TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER" },
    by = { "XOAUTH2" },
    welcome = "+OK User successfully authenticated.",
    refused = "-ERR Logon failure: unknown user name or bad password.",
  },
  ["pop.mail.yahoo.com"] = {
    capa = { "TOP", "UIDL", "USER", "SASL PLAIN XOAUTH2 OAUTHBEARER" },
    by = { "PLAIN", "OAUTHBEARER" },
  },
  ["pop.aol.com"] = {
    greeting = "+OK Maildrop ready, (JPOP server ready).",
    capa = { "IMPLEMENTATION jpop-0.1", "TOP", "USER", "SASL LOGIN PLAIN" },
    by = { "PLAIN" },
  },
  ["pop.fastmail.com"] = {
    capa = { "TOP", "UIDL", "USER", "SASL PLAIN", "PIPELINING" },
    by = { "PLAIN" },
  },
  ["pop.gmx.net"] = { by = { "PASS" }, refused = "-ERR authentication failed" },
  ["pop3.web.de"] = { by = { "PASS" }, refused = "-ERR authentication failed" },
  ["pop.zoho.com"] = { by = { "PASS" } },
  ["exchange.example.org"] = {
    greeting = "+OK The Microsoft Exchange POP3 service is ready.",
    capa = { "TOP", "UIDL", "SASL NTLM GSSAPI PLAIN", "USER" },
    starttls = true,
    by = { "PLAIN" },
    welcome = "+OK User successfully logged on.",
  },
}

local function mailbox(host, user, secret)
  local row = rows[host]
  local welcome = (row.welcome or "+OK") .. "\r\n"
  local refused = (row.refused or "-ERR [AUTH] no") .. "\r\n"
  local answers, words = {}, false
  for _, way in ipairs(row.by) do
    words = words or way == "PASS"
    local rules = ways[way] and ways[way](user, secret, welcome) or {}
    for _, rule in ipairs(rules) do answers[#answers + 1] = rule end
  end
  answers[#answers + 1] = { "AUTH.*", refused }
  if not words then answers[#answers + 1] = { "PASS.*", refused } end
  return {
    greeting = row.greeting, capa = row.capa, answers = answers,
    user = user, password = secret, open = not words,
    messages = { "Subject: one\r\n\r\nhello\r\n" },
  }
end

--- Is there a stand-in for this host?
function providers.has(host) return rows[host] ~= nil end

--- Start one.
-- @tparam string host
-- @tparam string user who is let in
-- @tparam string secret by which password or token
function providers.start(host, user, secret)
  local tls = certificates.server("providers", { names = { host },
    other = certificates.file "no-name" })
  local box = mailbox(host, user, secret)
  local steps = { { tls = tls }, { mailbox = box } }
  if rows[host].starttls then
    box.stls = tls
    table.remove(steps, 1)
  end
  return server.start { connections = { steps }, accepts = 0 }
end

return providers
