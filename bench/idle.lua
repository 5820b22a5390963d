-- What an idle connection holds: prints two rows of a Markdown table, KiB of
-- the Lua state's memory (ours) and of resident memory (OpenSSL's and the
-- allocator's overhead included). Usage: lua idle.lua NAME

local mailbox = require "spec.support.mailbox"
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

local box = mailbox.start { "--sample", "1" }

local function row(kind, connect)
  local mine, all = measure(function()
    local conn = connect()
    conn:login(box.user, box.password)
    conn:stat()
    return conn
  end)
  print(("| %s, %s | %.1f | %.1f |"):format(arg[1], kind, mine, all))
end

row("plain", function() return pop3.POP3("127.0.0.1", box.plain) end)
row("TLS", function()
  return pop3.POP3_SSL("127.0.0.1", box.tls, { cafile = box.ca })
end)
mailbox.stop_all()
