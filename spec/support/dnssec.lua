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

--- A record of a zone file as octets in hexadecimal.
local function encode(record)
  local usage, selector, kind, data = record:match("^(%d+) (%d+) (%d+) (%x+)$")
  return ("%02x%02x%02x%s"):format(usage, selector, kind, data)
end

function dnssec.start(records)
  local command = { "exec", quote(os.getenv("PYTHON") or "python3"),
                    quote(here .. "dnssec.py") }
  for _, record in ipairs(records) do
    command[#command + 1] = encode(record)
  end
  local pipe = assert(io.popen(table.concat(command, " ")))
  local port = (pipe:read("*l") or ""):match("^PORT (%d+)$")
  local anchor = pipe:read("*l")
  assert(port and anchor, "dnssec.py did not start")
  local config = files.temporary(([[
server:
  trust-anchor: "%s"
  do-not-query-localhost: no
  username: ""
  chroot: ""
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@%s
]]):format(anchor, port))
  return setmetatable({ port = tonumber(port), config = config, pipe = pipe },
    Names)
end

function Names:stop()
  self.pipe:close()
  os.remove(self.config)
end

return dnssec
