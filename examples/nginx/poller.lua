-- poller.lua - what nginx's timer does: see poller.conf.
local pop3 = require "pop3"               -- raises its errors, as poplib does
local TLS = pop3.context { cafile = os.getenv "POP3_CAFILE" }
local HOST = assert(os.getenv "POP3_HOST", "POP3_HOST is not set")
local USER = assert(os.getenv "POP3_USER", "POP3_USER is not set")
local STATE = assert(os.getenv "POLLER_STATE", "POLLER_STATE is not set")
local LOCK_SECONDS = 180                  -- more than one message may take
local HEAD = "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
  .. "Content-Type: message/rfc822\r\nX-UID: %s\r\n"
  .. "Transfer-Encoding: chunked\r\n\r\n"

-- POST a message while it arrives. One that is cut has no last chunk, so that
-- nobody takes it for a message.
local function post(M, m, target)
  local sock = ngx.socket.tcp()
  sock:settimeouts(5000, 10000, 10000)
  assert(sock:connect("127.0.0.1", target.port))
  assert(sock:send(HEAD:format(target.path, ngx.escape_uri(m.uid))))
  M:retr_to(m.number, function(chunk, _, err)
    if err then return end
    return sock:send { ("%x\r\n"):format(#(chunk or "")), chunk or "", "\r\n" }
  end)
  local answer = assert(sock:receive "*l")
  sock:close()
  if answer:find "^HTTP/1%.%d 2" then return true end
  ngx.log(ngx.ERR, m.uid, " was not taken: ", answer) -- but will be new again
end

local function post_new(target)
  local state, known = assert(io.open(STATE, "a+")), {}
  for uid in state:lines() do known[uid] = true end
  local M = pop3.POP3(HOST, tonumber(os.getenv "POP3_PORT" or 110),
    { tls = "starttls", context = TLS, total_timeout = 60 })
  M:login(USER, pop3.secret { env = "POP3_PASSWORD" })
  local messages = M:messages { since = known }
  assert(messages.uids, "the server has no UIDL")
  for m in messages do
    if ngx.worker.exiting() then break end
    ngx.shared.poller:set("lock", true, LOCK_SECONDS)
    local taken = post(M, m, target)
    if taken then assert(state:write(m.uid, "\n") and state:flush()) end
  end
  M:quit()
end

-- One at a time, or the second one would find the mailbox locked: after a
-- reload, the worker that was replaced may still be at it.
local function poll(premature, target)
  local shared = ngx.shared.poller
  if premature or not shared:add("lock", true, LOCK_SECONDS) then return end
  local ok, err = pcall(post_new, target)  -- nginx closes what that left open
  if not ok then ngx.log(ngx.ERR, "POP3: ", tostring(err)) end
  shared:delete "lock"
end

return { start = function(target)
  if ngx.worker.id() ~= 0 then return end  -- of all workers only this one
  ngx.timer.at(0, poll, target)
  ngx.timer.every(target.every, poll, target)
end }
