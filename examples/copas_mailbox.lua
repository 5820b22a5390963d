-- copas_mailbox.lua - prints the subjects of a mailbox in a thread of Copas,
-- beside which others may run.
--
--   POP3_PASSWORD=... lua5.1 copas_mailbox.lua HOST PORT USER
--
-- It uses pop3.safe, whose calls return nil and a message: inside of a pcall
-- PUC Lua 5.1 could not wait.

local copas = require "copas"
local pop3 = require "pop3.safe"

local host, port, user = arg[1], tonumber(arg[2]), arg[3]
if not (host and port and user and os.getenv "POP3_PASSWORD") then
  io.stderr:write("usage: POP3_PASSWORD=... lua copas_mailbox.lua HOST PORT "
    .. "USER\n")
  os.exit(64)
end

-- The subjects, newest first; nil and a message if something went wrong.
local function print_subjects(M)
  local messages, message = M:messages { order = "newest" }
  if not messages then return nil, message end
  local m = messages:next() -- `for m in messages do` cannot wait in PUC Lua 5.1
  while m do
    local headers
    headers, message = m:headers()
    if not headers then return nil, message end
    local subject = headers:match "\nSubject: ([^\r\n]*)" or "(none)"
    print(m.number, (subject:gsub("%c", "?"))) -- no tricks with terminals
    m = messages:next()
  end
  return M:quit()
end

local function visit()
  local M, message = pop3.POP3(host, port, {
    loop = "copas", tls = "starttls", cafile = os.getenv "POP3_CAFILE",
  })
  if not M then return nil, message end
  local ok
  ok, message = M:login(user, pop3.secret { env = "POP3_PASSWORD" })
  if ok then ok, message = print_subjects(M) end
  M:close()
  return ok, message
end

copas.addthread(function()
  local ok, message = visit()
  if not ok then io.stderr:write("copas_mailbox: ", message, "\n") end
  os.exit(ok and 0 or 1) -- the loop of older Copas never ends by itself
end)
copas.loop()
