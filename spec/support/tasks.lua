--- Tasks (pop3.start) in a host that draws frames, and servers for them.

local core = require "pop3.core"
local pop3 = require "pop3"
local server = require "spec.support.server"

local tasks = {}

tasks.mails = {}
for n = 1, 20 do
  tasks.mails[n] = ("Subject: %d\r\n\r\n"):format(n) .. ("x"):rep(2000) .. "\r\n"
end

--- A server of these mails.
-- @tparam[opt] table more of a scripted mailbox's options
function tasks.serve(more)
  local box = { messages = tasks.mails, capa = { "PIPELINING", "UIDL", "TOP" } }
  for key, value in pairs(more or {}) do box[key] = value end
  return server.start { connections = { { { mailbox = box } } }, accepts = 0 }
end

--- One that says nothing.
function tasks.silent() return server.start { { { stall = true } } } end

function tasks.logged_in(s, options)
  local conn = pop3.POP3(s.host, s.port, options or {})
  conn:login("me", "x")
  return conn
end

--- What a host does between two steps: draw, wait for the next frame.
function tasks.frame() core.poll({}, 0.0005) end

--- Step until `over` says so, or to the end; what the last step said.
function tasks.drive(task, over, octets, seconds)
  for _ = 1, 100000 do
    local said = { task:step(octets, seconds) }
    if said[1] ~= "waiting" or (over and over()) then return said end
    tasks.frame()
  end
  error("the task does not end", 2)
end

return tasks
