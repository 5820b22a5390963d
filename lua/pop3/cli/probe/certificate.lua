--- The certificate that a server shows.
--
-- @module pop3.cli.probe.certificate

local json = require "pop3.cli.json"

local certificate = {}

local DAY = 86400

-- Years that os.date cannot write may stand in a certificate.
local function date(seconds)
  local ok, text = pcall(os.date, "!%Y-%m-%d", seconds)
  return seconds and ok and text or nil
end

-- Whole days; what ended an hour ago ended one day ago.
local function days_until(seconds)
  return seconds and math.floor((seconds - os.time()) / DAY)
end

local function named(name) return name ~= "" and name or "(no name)" end

-- From the server's own to who signed the last that it sent.
local function links(chain)
  local names = {}
  for i, one in ipairs(chain) do names[i] = named(one.subject) end
  local last = chain[#chain]
  if last.issuer ~= last.subject then names[#names + 1] = named(last.issuer) end
  return json.list(names)
end

--- What the page says of it: dates as 2026-11-25, UTC.
-- @param conn a connection under TLS
-- @treturn ?table nil where the module does not tell
function certificate.of(conn)
  local told = conn.tls_info and conn:tls_info()
  local first = told and told.chain and told.chain[1]
  if not first then return nil end
  return {
    subject = first.subject, issuer = first.issuer,
    names = json.list(first.sans or {}),
    not_before = date(first.not_before), not_after = date(first.not_after),
    days_left = days_until(first.not_after),
    key = first.key_type and first.key_bits
      and ("%s, %d bits"):format(first.key_type, first.key_bits)
      or first.key_type,
    signature = first.signature,
    pin = first.pin,
    chain = links(told.chain),
  }
end

return certificate
