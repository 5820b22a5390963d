--- AUTH (RFC 5034) by a mechanism whose responses are the caller's.
--
-- @module pop3.authenticate

local core = require "pop3.core"
local call = require "pop3.call"
local compat = require "pop3.compat"

-- What the function said, to the server. What is not a response cancels the
-- exchange; what was raised is raised again when that is done.
local function answer(conn, on, ok, response, reason)
  if ok and response ~= nil and type(response) ~= "string" then
    ok, response = false, ("bad result of authenticate's function (string or"
      .. " nil expected, got %s)"):format(type(response))
  end
  if not ok then
    on.raised = { response }
    return core.answer(conn)
  end
  core.answer(conn, response, reason)
end

--- Authenticate by any mechanism of SASL; see docs/login.md. In clear only a
-- mechanism that is known to show no secret, unless the peer is this host or
-- `allow_cleartext` was given.
-- @tparam string name the mechanism's
-- @tparam function respond is called with each challenge, decoded, and returns
-- the response, any octets; nil, and perhaps a reason, cancels (kind
-- `aborted`). It may yield. What it raises cancels, too, and is raised again;
-- the connection may be used afterwards, but for a coroutine of PUC Lua 5.1,
-- where it is to be closed
-- @tparam[opt] string initial the initial response, any octets
-- @treturn string the status line
return function(self, name, respond, initial)
  local err = call.refusal(self)
    or core.begin(self, "authenticate", name, respond, initial)
  local on = {}
  function on.challenge(conn, challenge)
    answer(conn, on, compat.protected(respond, challenge))
  end
  function on.failed()
    if on.raised then error(on.raised[1], 0) end
  end
  return call.settle(self, err, on)
end
