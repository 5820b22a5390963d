--- A real Dovecot for specs: its own configuration, ports and folders.
--
--     local server = dovecot.start()
--     server.host, server.plain, server.implicit   -- where it listens
--     server.password, server.cafile               -- of every user
--     server:deliver("anna", {"Subject: a\n\nmail\n"})
--     server:awkward("otto", 1000)
--     server:delivered("otto", 7)                  -- in CRLF form
--     server:kick("anna")
--     server:stop()
--
-- dovecot.py does the work in a process of its own, which ends, with Dovecot,
-- when the pipe to it does: also when this process dies.
local json = require "spec.support.json"

local dovecot = {}
local Server = {}
Server.__index = Server

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"

local python = os.getenv("PYTHON") or "python3"

local quote = require("spec.support.files").quote

--- A fifo's path that nobody else has.
local function make_fifo()
  local path = os.tmpname()
  os.remove(path)
  local done = os.execute("mkfifo -m 600 " .. quote(path))
  assert(done == true or done == 0, "mkfifo failed")
  return path
end

--- @return the answer's table
function Server:answer()
  local line = self.output:read("*l")
  assert(line, "dovecot.py ended without an answer")
  local answer = json.decode(line)
  assert(not answer.error, answer.error)
  return answer
end

function Server:ask(request)
  self.input:write(json.encode(request), "\n")
  self.input:flush()
  return self:answer()
end

--- Make the mailbox of a new user from whole messages, in their order.
function Server:deliver(user, mails)
  local hex = {}
  for n, mail in ipairs(mails) do
    hex[n] = mail:gsub(".", function(octet)
      return ("%02x"):format(octet:byte())
    end) .. ";"
  end
  self.folders[user] = self:ask{op = "deliver", user = user,
                                mails = table.concat(hex)}.folder
end

--- The same, with `count` generated mails that are hard to transfer.
function Server:awkward(user, count)
  local answer = self:ask{op = "awkward", user = user, count = count}
  self.folders[user] = answer.folder
end

--- What a POP3 server has to make of an octet string on its disk: every line
-- ended by CRLF, the last one too.
function dovecot.wire_form(mail)
  local crlf = mail:gsub("\r\n", "\n"):gsub("\n", "\r\n")
  if crlf:sub(-2) == "\r\n" then return crlf end
  return crlf .. "\r\n"
end

--- Message `number` of `user`, as delivered, in the form of the wire.
function Server:delivered(user, number)
  local file = assert(io.open(self.folders[user] .. "/" .. number, "rb"))
  local mail = file:read("*a")
  file:close()
  return dovecot.wire_form(mail)
end

--- The UID that the server gives to message `number` of a new mailbox.
function Server.uid(_, number)
  return ("%d.M%04d.spec"):format(1600000000 + number, number)
end

--- End every session of `user`, from the server's side.
function Server:kick(user)
  self:ask{op = "kick", user = user}
end

--- What Python's poplib retrieves: number → status, octets, body with CRLFs.
function Server:poplib(user, numbers)
  local found = {}
  local answer = self:ask{op = "poplib", user = user, numbers = numbers}
  for number, message in pairs(answer) do
    message.body = message.hex:gsub("..", function(pair)
      return string.char(tonumber(pair, 16))
    end)
    found[tonumber(number)] = message
  end
  return found
end

--- What Dovecot has logged so far.
function Server:log()
  return self:ask{op = "log"}.log
end

--- By which mechanism the next login went of which nobody has asked yet.
function Server:login()
  self.logins = (self.logins or 0) + 1
  return self:ask{op = "login", number = self.logins}.method
end

--- End Dovecot and wait for that. May be called again.
function Server:stop()
  if not self.input then return end
  self.input:close()
  self.output:close()
  self.input = nil
end

--- A reason for specs to be pending, or nil where there is a Dovecot.
function dovecot.missing()
  local found = os.execute(
    "PATH=$PATH:/usr/sbin:/usr/local/sbin command -v dovecot >/dev/null")
  if found == true or found == 0 then return nil end
  return "dovecot is not installed (dovecot-pop3d)"
end

--- Start a server; returns when it listens.
-- @tparam[opt] table options see dovecot.py
function dovecot.start(options)
  local fifo = make_fifo()
  local words = { python, here .. "dovecot.py", json.encode(options or {}) }
  for i, word in ipairs(words) do words[i] = quote(word) end
  local input = assert(io.popen(("exec %s > %s"):format(
    table.concat(words, " "), quote(fifo)), "w"))
  local output = assert(io.open(fifo, "r"))
  os.remove(fifo)
  local self = setmetatable({
    input = input, output = output, folders = {},
  }, Server)
  for key, value in pairs(self:answer()) do self[key] = value end
  self.plain, self.implicit = math.floor(self.plain), math.floor(self.implicit)
  return self
end

return dovecot
