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

return certificates
