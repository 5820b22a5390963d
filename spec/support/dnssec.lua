--- The signed name server for specs, dnssec.py, and a file of unbound's options
-- that leads to it and to nobody else.
--
--     local names = dnssec.start { "3 1 1 hex", … }
--     names.config; names:stop()

local files = require "spec.support.files"
local quote = files.quote

local dnssec = {}

local Names = {}
Names.__index = Names

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"

-- TLSA records of zone files have their octets in hexadecimal here.
local function encode(data)
  local usage, selector, kind, octets = data:match("^(%d+) (%d+) (%d+) (%x+)$")
  return ("%02x%02x%02x%s"):format(usage, selector, kind, octets)
end

--- Start it.
-- @tparam table records a list of "NAME TYPE DATA", as dnssec.py has them, but
-- that TLSA data are as in zone files; data alone is every name's
function dnssec.start(records)
  local command = { "exec", quote(os.getenv("PYTHON") or "python3"),
                    quote(here .. "dnssec.py") }
  for _, record in ipairs(records) do
    if record:find("^%d+ ") then record = "* TLSA " .. record end
    record = record:gsub("^(%S+ TLSA )(.*)$", function(head, data)
      return head .. encode(data)
    end)
    command[#command + 1] = quote(record)
  end
  local pipe = assert(io.popen(table.concat(command, " ")))
  local port = (pipe:read("*l") or ""):match("^PORT (%d+)$")
  assert(port, "dnssec.py did not start")
  local lines = { "server:" }
  for anchor in function() return pipe:read("*l") end do
    if anchor == "" then break end
    lines[#lines + 1] = ('  trust-anchor: "%s"'):format(anchor)
  end
  lines[#lines + 1] = ([[
  local-zone: "localhost." nodefault
  do-not-query-localhost: no
  username: ""
  chroot: ""
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@%s
]]):format(port)
  local config = files.temporary(table.concat(lines, "\n"))
  return setmetatable({ port = tonumber(port), config = config, pipe = pipe },
    Names)
end

function Names:stop()
  self.pipe:close()
  os.remove(self.config)
end

return dnssec
