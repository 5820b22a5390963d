--- What was found out, as plain tables: what --json writes, and what the page
-- is made of.
--
-- @module pop3.cli.probe.document

local json = require "pop3.cli.json"
local quirks_of = require "pop3.cli.probe.quirks"
local verdict = require "pop3.cli.probe.verdict"

local document = {}

--- The keys in the order in which they are written.
document.ORDER = {
  "format", "url", "safe", "exit", "verdict", "ports",
  "entry", "address", "proxy", "unverified", "greeting", "tls", "certificate",
  "capabilities", "mechanisms", "login", "pipelining", "codes", "quirks",
  "version", "cipher", "group", "alpn", "resumed",
  "subject", "issuer", "names", "not_before", "not_after", "days_left", "key",
  "signature", "pin", "chain",
  "clear", "after",
  "mechanism", "tried", "untried", "ok", "user", "messages", "octets",
  "announced", "honoured", "seen",
  "name", "risk", "text",
}

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return json.list(names)
end

-- "EXPIRE 60", as the server would write it.
local function lines(capabilities)
  if not capabilities then return nil end
  local found = {}
  for name, words in pairs(capabilities) do
    local arguments = table.concat(words, " ")
    found[name .. (arguments == "" and "" or " ") .. arguments] = true
  end
  return sorted(found)
end

local function describe_tls(door)
  local tls = door.tls
  if not tls then return nil end
  return { version = tls.version, cipher = tls.cipher, group = tls.group,
    alpn = tls.alpn, resumed = door.resumed }
end

local function why_not(door)
  if door.login.tried then return nil end
  if door.login.unsent then return door.login.unsent end
  if door.error or door.without_tls then return "it would not be safe" end
  if not door.parts.user then return "no user was named" end
  if door.run.tried then return "one in a run is enough" end
  if not door.login.would_use then
    return door.login.by_token and "there is none that takes a token"
      or "there is none that pop3 has"
  end
  return "no password or token was given"
end

local function describe_login(door)
  local login = door.login
  return { mechanism = login.would_use, tried = login.tried or false,
    untried = why_not(door), ok = login.ok, user = login.user,
    messages = login.messages, octets = login.octets }
end

local CODES = { "RESP-CODES", "AUTH-RESP-CODE" }

local function describe_codes(door)
  local announced = {}
  for _, capabilities in pairs(door.capabilities) do
    for _, name in ipairs(CODES) do
      if capabilities[name] then announced[name] = true end
    end
  end
  return { announced = sorted(announced), seen = sorted(door.seen) }
end

local function describe(door)
  local its, all = verdict.of_door(door), door.capabilities
  return {
    url = door:url(), entry = door.entry, address = door.address,
    proxy = door.proxy,
    safe = its.safe, exit = its.exit, verdict = its.text,
    unverified = door.unverified or false,
    greeting = door.greeting or door.refusal,
    tls = describe_tls(door),
    certificate = door.certificate,
    capabilities = { clear = lines(all.clear), tls = lines(all.tls),
      login = lines(all.login) },
    mechanisms = sorted(door.offered or {}),
    login = describe_login(door),
    pipelining = door.pipelining,
    codes = describe_codes(door),
    quirks = json.list(quirks_of(door)),
  }
end

--- @tparam table doors that were probed
function document.of(doors)
  local best = verdict.of_all(doors)
  local ports = {}
  for i, door in ipairs(doors) do ports[i] = describe(door) end
  return { format = 1, url = best.url, safe = best.safe, exit = best.exit,
    verdict = best.text, ports = json.list(ports) }
end

return document
