--- A secret that may be a function, called once, now that it is needed.
--
-- @module pop3.reveal

local core = require "pop3.core"

local NOTHING = "the function for a secret gave none"

-- Nobody guesses what nil was to mean: it ends the call.
local function given(value, reason)
  if value ~= nil then return value end
  return nil, core.aborted(type(reason) == "string" and reason or NOTHING)
end

--- @param secret anything; a function is called without arguments; it may yield
-- @return the secret, or what its function gave, which nobody has looked at yet
-- @return or nil and an error object of the kind `aborted`
return function(secret)
  if type(secret) ~= "function" then return secret end
  return given(secret())
end
