-- poller.lua - what nginx's timer does: see poller.conf.

local pop3 = require "pop3"           -- raises errors, as poplib does

local function need(name) return os.getenv(name) or error(name .. " is not set") end

local HOST, USER = need "POP3_HOST", need "POP3_USER"
local PORT = tonumber(os.getenv "POP3_PORT" or 110)
local PASSWORD = pop3.secret { env = "POP3_PASSWORD" }
local STATE = need "POLLER_STATE"
local OPTIONS = {
  tls = "starttls", timeout = 10, total_timeout = 60,
  context = pop3.context { cafile = os.getenv "POP3_CAFILE" },
}

-- Longer than anything that happens between two renewals may take. A worker
-- that is killed leaves the lock; this is when the next one takes over.
local LOCK_SECONDS = 180
local lock = ngx.shared.poller

local function known_uids()
  local known, file = {}, io.open(STATE)
  for line in (file and file:lines() or function() end) do known[line] = true end
  if file then file:close() end
  return known
end

local function remember(uid)
  local file = assert(io.open(STATE, "a"))
  assert(file:write(uid, "\n"))
  assert(file:close())
end

-- POST a message while it arrives. What is cut has no last chunk, so that the
-- endpoint cannot take it for a message.
local function post(target, M, m)
  local sock = ngx.socket.tcp()
  sock:settimeouts(5000, 10000, 10000)
  assert(sock:connect("127.0.0.1", target.port))
  assert(sock:send { "POST ", target.path, " HTTP/1.1\r\nHost: localhost\r\n",
    "Connection: close\r\nContent-Type: message/rfc822\r\nX-UID: ", m.uid,
    "\r\nTransfer-Encoding: chunked\r\n\r\n" })
  M:retr_to(m.number, function(chunk, _, err)
    if err then return end
    return sock:send(chunk and { ("%x\r\n"):format(#chunk), chunk, "\r\n" }
      or "0\r\n\r\n")
  end)
  local line = assert(sock:receive "*l")
  sock:close()
  return assert(line:find "^HTTP/1%.1 2%d%d " and true, line)
end

