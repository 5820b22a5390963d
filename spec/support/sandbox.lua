--- Scripts of a host that calls pop3.restrict, which is for good: each runs in a
-- process of its own, and has say(f, ...), which prints how a call ended.
--
--     local lines = sandbox.run([[ say(pop3.secret, { fd = 0 }) ]], request)

local child = require "spec.support.child"
local server = require "spec.support.server"

local sandbox = {}

local PREAMBLE = [[
  local pop3 = require "pop3"
  local core = require "pop3.core"
  local host, port, extra = ...
  port = tonumber(port)
  local function say(f, ...)
    local ok, err = pcall(f, ...)
    if ok then return print("ok") end
    if type(err) ~= "table" then return print("misuse " .. err) end
    print(err.kind .. "/" .. err.name .. " " .. tostring(err))
  end
]]

--- The lines that a script printed.
-- @tparam[opt] table request more of child.run's
function sandbox.run(script, request)
  request = request or {}
  request.script = PREAMBLE .. script
  return child.lines(request)
end

--- A server of one mailbox.
-- @tparam[opt] table request to complete by the arguments that lead there, and
--  by `extra`
function sandbox.mailbox(request)
  local s = server.start { accepts = 0, keep = 0, connections = { { { mailbox = {
    messages = { "Subject: one\r\n\r\n" .. ("x"):rep(5000) .. "\r\n", "two\r\n" },
    open = true, capa = { "PIPELINING", "UIDL", "TOP" } } } } } }
  request = request or {}
  request.arguments = { s.host, s.port, request.extra }
  return request, s
end

function sandbox.refuses(what)
  return "policy/restricted pop3.restrict refuses " .. what
end

return sandbox
