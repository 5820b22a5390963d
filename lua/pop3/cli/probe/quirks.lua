--- What is odd about a server, or good to know: a table of detectors.
--
-- @module pop3.cli.probe.quirks

local problem = require "pop3.cli.problem"

local SOON = 14 -- days that a certificate has left

-- The capabilities that hold for whoever logs in.
local function best(door)
  local all = door.capabilities
  return all.login or all.tls or all.clear
end

local function words_of(door, name)
  local capabilities = best(door)
  local words = capabilities and capabilities[name]
  return words and table.concat(words, " ")
end

-- Names that one set has and the other lacks, sorted.
local function more(set, than)
  local names = {}
  for name in pairs(set) do
    if not than[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- These have done their work once somebody is in.
local FOR_LOGIN = { USER = true, SASL = true, STLS = true }

local function gone(before, after)
  local missed = {}
  for name in pairs(before) do missed[name] = not FOR_LOGIN[name] or nil end
  return more(missed, after)
end

local function lacks(name)
  return function(door)
    local capabilities = best(door)
    return capabilities and not capabilities[name]
  end
end

local function has_sasl(capabilities, wanted)
  for _, word in ipairs(capabilities and capabilities.SASL or {}) do
    if wanted[word:upper()] then return true end
  end
  return false
end

local PLAIN = { PLAIN = true, LOGIN = true }

-- { name, is it a risk?, detector }. A detector returns nil or false, or a
-- text; true where the row's fourth is the text.
local ROWS = {
  { "no-tls", true, function(door) return door.without_tls end,
    "no TLS: passwords and mail would travel in clear" },
  { "clear-login-offered", true, function(door)
    local clear = door.entry == "starttls" and door.capabilities.clear
    return clear and clear.STLS and (clear.USER or has_sasl(clear, PLAIN))
  end, "offers a login with the password in clear, before TLS" },
  { "clear-timestamp", false, function(door)
    return door.entry == "starttls" and door.greeting
      and door.greeting:find("<[^<>%s]+@[^<>%s]+>")
  end, "offers APOP in clear: who overhears it can guess the password" },
  { "old-tls", true, function(door)
    return door.tls and door.tls.version ~= "TLSv1.3"
      and door.tls.version ~= "TLSv1.2"
      and door.tls.version .. " is broken: pop3 needs TLS 1.2 or newer"
  end },
  { "tls-1.2", false, function(door)
    return door.tls and door.tls.version == "TLSv1.2"
  end, "TLS 1.2: no 1.3 yet" },
  { "certificate-ends-soon", true, function(door)
    local days = door.certificate and door.certificate.days_left
    return days and days >= 0 and days < SOON
      and ("the certificate ends in %d days"):format(days)
  end },
  { "no-resumption", false, function(door) -- a pin alone is never resumed
    return door.resumed == false and not door.options.no_verify
  end,
    "does not resume TLS sessions: each connection costs a full handshake" },
  { "one-connection", false, function(door)
    local err = door.refused_again
    return err and "a second connection right after the first failed: "
      .. tostring(err)
  end },
  { "no-capa", false, function(door)
    return door.answered and not door.capabilities.tls
  end, "no CAPA: what it can do is not known" },
  { "no-uidl", false, lacks "UIDL",
    "no UIDL: what was fetched before cannot be told from what is new" },
  { "no-top", false, lacks "TOP",
    "no TOP: headers cannot be read without the message" },
  { "more-after-login", false, function(door)
    local all = door.capabilities
    local names = all.tls and all.login and more(all.login, all.tls) or ""
    return names ~= "" and "only after login: " .. names
  end },
  { "less-after-login", false, function(door)
    local all = door.capabilities
    local names = all.tls and all.login and gone(all.tls, all.login) or ""
    return names ~= "" and "no longer after login: " .. names
  end },
  { "pipelining-broken", true, function(door)
    return door.pipelining.honoured == false
  end, "announces PIPELINING and does not do it: pop3 may hang here" },
  { "fails-after-login", true, function(door)
    local err = door.login.later
    return err and "behind the login: " .. select(2, problem.of(err))
  end },
  { "login-delay", false, function(door)
    local delay = words_of(door, "LOGIN-DELAY")
    return delay and "seconds between logins, at least: " .. delay
  end },
  { "expire", false, function(door)
    local days = words_of(door, "EXPIRE")
    if not days or days:upper() == "NEVER" then return end
    return "deletes mail by itself, after days: " .. days
  end },
  { "utf8", false, function(door) return words_of(door, "UTF8") end,
    "can do UTF-8 in headers and names (RFC 6856)" },
  { "implementation", false, function(door)
    local name = words_of(door, "IMPLEMENTATION")
    return name and "says that it is " .. name
  end },
}

--- @treturn table of { name =, risk =, text = }
return function(door)
  local found = {}
  for _, row in ipairs(ROWS) do
    local text = row[3](door)
    if text then
      found[#found + 1] = { name = row[1], risk = row[2],
        text = row[4] or text }
    end
  end
  return found
end
