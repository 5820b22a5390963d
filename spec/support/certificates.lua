--- The certificates of certificates.py, made once and kept below build/.
--
--     local certificates = require "spec.support.certificates"
--     certificates.file "expired"     -- a chain, as a server sends it
--     certificates.cafile             -- the root that specs trust
--     certificates.server "expired"   -- OPTIONS for scripted.py's tls step

local certificates = {}

--- What the good ones are for.
certificates.name = "mail.example.org"

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"
local folder = here .. "../../build/certificates"

local quote = require("spec.support.files").quote

local python = os.getenv("PYTHON") or "python3"
local made = os.execute(quote(python) .. " " .. quote(here)
                        .. "certificates.py " .. quote(folder))
assert(made == true or made == 0, "certificates.py failed")

--- The path of one of the files, named without `.pem`.
function certificates.file(name)
  return folder .. "/" .. name .. ".pem"
end

certificates.cafile = certificates.file("root")

local function lines(name, suffix)
  local file = assert(io.open(folder .. "/" .. name .. suffix))
  local text = file:read("*a")
  file:close()
  return text:gmatch("[^\n]+")
end

--- A pin of a key in the chain `name`.
-- @tparam string name
-- @tparam[opt] number depth 1 (default): the server's
function certificates.pin(name, depth)
  local at = 0
  for pin in lines(name, ".pin") do
    at = at + 1
    if at == (depth or 1) then return pin end
  end
end

--- A TLSA record of a certificate in the chain `name`.
-- @tparam string name
-- @tparam string head usage, selector and matching type, as "3 1 1"
-- @tparam[opt] number depth 1 (default): the server's
function certificates.tlsa(name, head, depth)
  local start = ("%d %s "):format((depth or 1) - 1, head)
  for line in lines(name, ".tlsa") do
    if line:sub(1, #start) == start then return line:sub(3) end
  end
end

--- The path of a revocation list (`crl-NAME.pem`).
function certificates.crl(name) return folder .. "/crl-" .. name .. ".pem" end

--- The path of an OCSP response (`ocsp-NAME.der`).
function certificates.ocsp(name)
  return folder .. "/ocsp-" .. name .. ".der"
end

--- Options of a server that shows the certificate `name`.
-- @tparam string name
-- @tparam[opt] table more of scripted.py's TLS options
function certificates.server(name, more)
  local options = {}
  for key, value in pairs(more or {}) do options[key] = value end
  options.cert = certificates.file(name)
  options.key = options.key or certificates.file("key")
  return options
end

--- Options of a client that believes the root and asks for `certificates.name`.
-- @tparam[opt] table more that it has, or has instead
function certificates.client(more)
  local options = { cafile = certificates.cafile, servername = certificates.name }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

return certificates
