-- sandbox.lua - runs a script that nobody trusts, in slices, beside the host's
-- own work. Lua 5.2 or newer (LuaJIT has one hook for all coroutines).
--
--   POP3_PASSWORD=... lua5.4 sandbox.lua SCRIPT HOST PORT USER [SECONDS]
--
-- The script may talk to this server only, may not touch files, never sees the
-- password, and has so many seconds and instructions. (How much memory it may
-- take is for the host's allocator to say, and one call of string.find may
-- outlast all limits: that takes a watchdog.)

local pop3 = require "pop3"

local path, host, port, user = arg[1], arg[2], tonumber(arg[3]), arg[4]
local seconds, instructions = tonumber(arg[5] or 10), 10000000
local password = os.getenv "POP3_PASSWORD"
if not (path and host and port and user and password and seconds) then
  io.stderr:write("usage: POP3_PASSWORD=... lua sandbox.lua SCRIPT HOST PORT "
    .. "USER [SECONDS]\n")
  os.exit(64)
end

-- Before the gate is shut: later nobody can read roots from a file.
local context = pop3.context { cafile = os.getenv "POP3_CAFILE" }
pop3.restrict { servers = { host }, ports = { port }, max_connections = 4,
  max_octets = 1048576 } -- files, fds and debug are false

local function mailbox()
  local M = pop3.POP3(host, port, { tls = "starttls", context = context })
  M:login(user, password)
  return M
end

-- Copies: what the script changes in them is changed for the script. And no
-- pcall, nor pop3.start: what ends the script must not be caught by it.
local function copy(from)
  local to = {}
  for name, value in pairs(from) do to[name] = value end
  return to
end
local environment = { mailbox = mailbox, POP3 = pop3.POP3, assert = assert,
  error = error, ipairs = ipairs, math = copy(math), next = next, pairs = pairs,
  print = print, select = select, string = copy(string), table = copy(table),
  tonumber = tonumber, tostring = tostring, type = type }

local script, problem = loadfile(path, "t", environment)
local task = pop3.start(function()
  if not script then error(problem, 0) end
  debug.sethook(function() error("too many instructions", 0) end, "",
    instructions)
  script()
end)
local deadline, state, err = pop3.now() + seconds, task:step()
while state == "waiting" do
  -- Here a real host does its work, or sleeps until the next frame.
  if pop3.now() > deadline then task:cancel() end
  state, err = task:step(65536, 0.001) -- octets and seconds, at most
end
if state == "failed" then io.stderr:write("sandbox: ", tostring(err), "\n") end
os.exit(state == "done" and 0 or 1)
