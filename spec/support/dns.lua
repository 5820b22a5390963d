--- The name server for specs, dns.py: `good.*` and `mail.*` are 127.0.0.1,
-- `missing.*` does not exist, `broken.*` fails, about others it is silent.
--
--     local names = dns.start()
--     names.port; names:stop()

local quote = require("spec.support.files").quote

local dns = {}

local Names = {}
Names.__index = Names

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"

function dns.start()
  local pipe = assert(io.popen("exec " .. quote(os.getenv("PYTHON")
    or "python3") .. " " .. quote(here .. "dns.py")))
  local port = (pipe:read("*l") or ""):match("^PORT (%d+)$")
  assert(port, "dns.py did not start")
  return setmetatable({ port = tonumber(port), pipe = pipe }, Names)
end

function Names:stop() self.pipe:close() end

return dns
