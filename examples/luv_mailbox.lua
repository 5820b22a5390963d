-- luv_mailbox.lua - prints the subjects of a mailbox in libuv's loop, in which
-- the rest of the program goes on: here a clock.
--
--   POP3_PASSWORD=... lua5.4 luv_mailbox.lua HOST PORT USER

local uv = require "luv"
local pop3 = require "pop3"
local loop = require "pop3.loop.luv"

local host, port, user = arg[1], tonumber(arg[2]), arg[3]
if not (host and port and user and os.getenv "POP3_PASSWORD") then
  io.stderr:write("usage: POP3_PASSWORD=... lua luv_mailbox.lua HOST PORT "
    .. "USER\n")
  os.exit(64)
end

local ticks, clock = 0, uv.new_timer()
clock:start(0, 5, function() ticks = ticks + 1 end)

local function print_subjects()
  local M = pop3.POP3(host, port, {
    loop = "luv", tls = "starttls", cafile = os.getenv "POP3_CAFILE",
  })
  M:login(user, pop3.secret { env = "POP3_PASSWORD" })
  local messages = M:messages { order = "newest" }
  local m = messages:next() -- `for m in messages do` cannot wait in PUC Lua 5.1
  while m do
    local subject = m:headers():match "\nSubject: ([^\r\n]*)" or "(none)"
    print(m.number, (subject:gsub("%c", "?"))) -- no tricks with terminals
    m = messages:next()
  end
  M:quit()
  clock:stop()              -- now the loop has nothing more to do
end

local function fail(err)
  io.stderr:write("luv_mailbox: ", tostring(err), "\n")
  os.exit(1)
end

-- What waits runs in a coroutine. Its error comes to whoever resumes it: to us
-- at first, to the loop later.
loop.on_error = fail
local ok, err = coroutine.resume(coroutine.create(print_subjects))
if not ok then fail(err) end
uv.run()
print(ticks > 0 and "meanwhile the clock went on" or "the clock stood still")
