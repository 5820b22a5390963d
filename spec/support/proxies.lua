--- Proxies that nobody here wrote: starts spec/support/proxies.py, in which is
-- told what they are.
--
--     local proxies = require "spec.support.proxies"
--     after_each(proxies.stop_all)
--     local p = proxies.start("socks5", { login = "joe:secret" })
--     p.port; or nil and why there is none

local files = require "spec.support.files"
local quote = files.quote

local proxies = {}

local here = debug.getinfo(1, "S").source:match("^@(.*/)[^/]*$") or "./"
local running = {}

--- @tparam string kind "socks5", "http" or "tls"
-- @tparam[opt] table options `login`; of "tls" `certificate`, `key`, `to`
function proxies.start(kind, options)
  local folder = files.make_folder()
  local words = { "exec", os.getenv("PYTHON") or "python3",
    quote(here .. "proxies.py"), kind, quote(folder) }
  for name, value in pairs(options or {}) do
    words[#words + 1] = "--" .. name .. "=" .. quote(tostring(value))
  end
  local pipe = io.popen(table.concat(words, " "), "r")
  local line = pipe:read("*l") or "it did not start"
  local port = tonumber(line:match("^PORT (%d+)$"))
  if not port then
    pipe:close()
    files.remove_folder(folder)
    return nil, line
  end
  local self = { port = port, folder = folder, pipe = pipe }
  running[self] = true
  return self
end

function proxies.stop_all()
  for self in pairs(running) do
    running[self] = nil
    self.pipe:close() -- its standard output: it ends
    files.remove_folder(self.folder)
  end
end

return proxies
