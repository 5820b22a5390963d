-- transport.lua - POP3 through another program, for servers that only a gateway
-- can reach. Prints what is in the mailbox.
--
--   POP3_PASSWORD=... lua5.4 transport.lua USER 'ssh -W mail.lan:110 gateway'
--
-- Any command will do whose input and output are the server's.

local pop3 = require "pop3"
local user, command = arg[1], arg[2]
if not (user and command and os.getenv "POP3_PASSWORD") then
  io.stderr:write("usage: POP3_PASSWORD=... lua transport.lua USER COMMAND\n")
  os.exit(64)
end

-- A transport is an object with the methods send, receive and close. This one
-- writes to a command through a pipe, and reads from it through a FIFO.
local Command = {}
Command.__index = Command

function Command.open(line)
  local fifo = os.tmpname()
  os.execute(("rm -f %s; mkfifo -m 600 %s"):format(fifo, fifo))
  local input = assert(io.popen(("%s > %s"):format(line, fifo), "w"))
  local output = assert(io.open(fifo, "rb"))
  os.remove(fifo)
  return setmetatable({ input = input, output = output, rest = "" }, Command)
end

-- All of the octets, or nil and a reason.
function Command:send(octets)
  if self.input:write(octets) and self.input:flush() then return true end
  return nil, "closed"
end

-- 1 to `max` octets, as soon as there are any: lines, as all that a server says
-- ends with one. (Within as many seconds as a second argument says; but a pipe
-- of Lua's has no clock, so let the command have one: 'timeout 60 ssh ...'.)
function Command:receive(max)
  if self.rest == "" then self.rest = self.output:read "*L" or "" end
  local piece = self.rest:sub(1, max)
  self.rest = self.rest:sub(max + 1)
  if piece == "" then return nil, "closed" end
  return piece
end

function Command:close() return self.input:close() and self.output:close() end

local function print_listing()
  local M = pop3.POP3("mail.lan", 110, { -- a name, for messages only
    transport = Command.open(command),
    allow_cleartext = true,              -- it is the command that protects it
  })
  M:login(user, pop3.secret { env = "POP3_PASSWORD" })
  for number, size, uid in M:listing():each() do print(number, size, uid) end
  M:quit()
end

local ok, err = pcall(print_listing)
if not ok then io.stderr:write("transport: ", tostring(err), "\n") end
os.exit(ok and 0 or 1)
