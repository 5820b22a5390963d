-- sandbox.lua - runs a script that nobody trusts, in slices, beside the host's
-- own work. Lua 5.2 or newer (LuaJIT has one hook for all coroutines).
--
--   POP3_PASSWORD=... lua5.4 sandbox.lua SCRIPT HOST PORT USER
--
-- The script may talk to this server only, may not touch files, has so many
-- instructions and seconds, and never sees the password. (What memory it takes
-- is for the host's allocator to say.)

local pop3 = require "pop3"
local SECONDS, INSTRUCTIONS = 10, 10000000

local path, host, port, user = arg[1], arg[2], tonumber(arg[3]), arg[4]
local password = os.getenv "POP3_PASSWORD"
if not (path and host and port and user and password) then
  io.stderr:write("usage: POP3_PASSWORD=... lua sandbox.lua SCRIPT HOST PORT "
    .. "USER\n")
  os.exit(64)
end

-- Before the gate is shut: later nobody can read roots from a file.
local context = pop3.context { cafile = os.getenv "POP3_CAFILE" }
pop3.restrict { servers = { host }, ports = { port }, max_connections = 4,
  max_octets = 1048576 } -- files, fds and debug: false

local function mailbox()
  local M = pop3.POP3(host, port, { tls = "starttls", context = context })
  return M, M:login(user, password)
end

-- Copies: what the script changes in them is changed for the script.
local function copy(from)
  local to = {}
  for name, value in pairs(from) do to[name] = value end
  return to
end
local environment = { mailbox = mailbox, pop3 = copy(pop3), error = error,
  ipairs = ipairs, math = copy(math), next = next, pairs = pairs, pcall = pcall,
  print = print, select = select, string = copy(string), table = copy(table),
  tonumber = tonumber, tostring = tostring, type = type }

local function run_limited(script)
  local function stop()
    debug.sethook(stop, "", 1) -- a pcall may catch this one, but not all
    error("the script has used up its instructions", 0)
  end
  debug.sethook(stop, "", INSTRUCTIONS)
  return script()
end

local script, problem = loadfile(path, "t", environment)
local task = pop3.start(function() run_limited(assert(script, problem)) end)
local deadline = pop3.now() + SECONDS
local state, err = task:step()
while state == "waiting" do
  -- Here a real host does its work, or sleeps until the next frame.
  if pop3.now() > deadline then task:cancel() end
  state, err = task:step(65536, 0.001) -- octets and seconds, at most
end
if state == "failed" then io.stderr:write("sandbox: ", tostring(err), "\n") end
os.exit(state == "done" and 0 or 1)
