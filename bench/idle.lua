-- What an idle connection holds: KiB of the Lua state's memory (ours) and of
-- resident memory (OpenSSL's and the allocator's overhead included), in JSON.
-- Usage: lua idle.lua PORT TLS-PORT AUTHORITY

local pop3 = require "pop3"

local CONNECTIONS = 200

local function resident()
  for line in io.lines("/proc/self/status") do
    local size = line:match("^VmRSS:%s+(%d+)")
    if size then return tonumber(size) end
  end
end

local function ours()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count")
end

local function measure(connect)
  local connections = {}
  connect() -- what is made once is not an idle connection's
  local before, before_resident = ours(), resident()
  for i = 1, CONNECTIONS do connections[i] = connect() end
  return (ours() - before) / CONNECTIONS,
    (resident() - before_resident) / CONNECTIONS, connections
end

local function logged_in(conn)
  conn:login("u", "p", { auth = "USER" })
  conn:stat()
  return conn
end

local plain, plain_resident = measure(function()
  return logged_in(pop3.POP3("127.0.0.1", tonumber(arg[1])))
end)
local tls, tls_resident = measure(function()
  return logged_in(pop3.POP3_SSL("127.0.0.1", tonumber(arg[2]),
    { cafile = arg[3] }))
end)
print(([[{"plain_ours": %.1f, "plain_resident": %.1f, "tls_ours": %.1f, "tls_resident": %.1f}]])
  :format(plain, plain_resident, tls, tls_resident))
