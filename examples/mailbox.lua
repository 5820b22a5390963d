-- mailbox.lua - print all messages of a mailbox: the example of Python's poplib
-- documentation, by TLS, and with a sentence where something goes wrong.
--
--   POP3_PASSWORD=... lua5.4 mailbox.lua HOST PORT USER
--
-- POP3_CAFILE names the roots to trust, where the system's are not enough.

local pop3 = require "pop3"

local host, port, user = arg[1], tonumber(arg[2]), arg[3]
if not (host and port and user and os.getenv "POP3_PASSWORD") then
  io.stderr:write("usage: POP3_PASSWORD=... lua mailbox.lua HOST PORT USER\n")
  os.exit(64)
end

local function print_mailbox()
  local M = pop3.POP3(host, port, {
    tls = "starttls",                     -- or POP3_SSL, for port 995
    cafile = os.getenv "POP3_CAFILE",
  })
  -- Read, sent and wiped in C: it never becomes a Lua string.
  M:login(user, pop3.secret { env = "POP3_PASSWORD" })

  local numMessages = #select(2, M:list())
  for i = 1, numMessages do
    for _, line in ipairs(select(2, M:retr(i))) do
      io.write(line, "\n")             -- print of PUC 5.1 stops at NUL
    end
  end
  M:quit()
end

-- An error is an object whose text is for people (docs/errors.md).
local ok, err = pcall(print_mailbox)
if not ok then
  io.stderr:write("mailbox: ", tostring(err), "\n")
  os.exit(1)
end
