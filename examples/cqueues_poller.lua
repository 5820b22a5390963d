-- cqueues_poller.lua - looks into many mailboxes, some at a time, by cqueues.
--
--   lua5.4 cqueues_poller.lua ACCOUNTS [SECONDS]
--
-- ACCOUNTS is a file with a line "HOST PORT USER PASSWORD" for each mailbox. It
-- looks every SECONDS; without them once, and then fails if one of them did.

local cqueues = require "cqueues"
local pop3 = require "pop3.safe"      -- nil and a message in place of an error
local AT_A_TIME = 16

local accounts, file = {}, arg[1] and io.open(arg[1])
if not file then
  io.stderr:write("usage: lua cqueues_poller.lua ACCOUNTS [SECONDS]\n")
  os.exit(64)
end
for line in file:lines() do
  local a = {}
  a.host, a.port, a.user, a.password = line:match "^(%S+) (%d+) (%S+) (.+)$"
  if a.host then accounts[#accounts + 1] = a end
end
-- One for all: roots are loaded once, and sessions of TLS are resumed.
local context = assert(pop3.context { cafile = os.getenv "POP3_CAFILE" })

-- What is in a mailbox, or why nobody knows.
local function look(account)
  local M, message = pop3.POP3(account.host, tonumber(account.port), {
    loop = "cqueues", tls = "starttls", context = context, timeout = 10 })
  if not M then return false, message end
  local count, octets = M:login(account.user, account.password)
  if count then count, octets = M:stat() end
  M:quit()                            -- closes, whatever happened before
  if not count then return false, octets end
  return true, ("%d messages, %d octets"):format(count, octets)
end

-- Some coroutines, each of which takes the next one until there is none.
local function look_into_all()
  local started, failed, controller = 0, 0, cqueues.new()
  local function work()
    while started < #accounts do
      started = started + 1
      local account = accounts[started]
      local ok, text = look(account)
      if not ok then failed = failed + 1 end
      print(account.user .. "@" .. account.host, ok and "ok" or "failed", text)
    end
  end
  for _ = 1, math.min(AT_A_TIME, #accounts) do controller:wrap(work) end
  assert(controller:loop())
  print(("%d mailboxes, %d failed"):format(#accounts, failed))
  return failed == 0
end

local seconds = tonumber(arg[2])
repeat
  local ok = look_into_all()
  if not seconds then os.exit(ok and 0 or 1) end
  cqueues.sleep(seconds)
until false
