--- Is a safe login possible? That is TLS with a certificate that was verified,
-- and a mechanism that the command has.
--
-- @module pop3.cli.probe.verdict

local problem = require "pop3.cli.problem"

local verdict = {}

local NO_TLS = "no TLS here: the password would be sent in clear"
local NO_MECHANISM = "it offers no login that pop3 has"
local NO_TOKEN = "it takes no token (OAUTHBEARER, XOAUTH2): give a password"

local function of_error(err)
  local exit, text = problem.of(err)
  return { safe = false, exit = exit, text = text }
end

local function without_mechanism(door)
  local text = door.login.by_token and NO_TOKEN or NO_MECHANISM
  if door.parts.auth then text = "it does not offer " .. door.parts.auth end
  return { safe = false, exit = problem.UNAVAILABLE, text = text }
end

--- Of one port.
-- @treturn table `safe`, `exit`, `text`
function verdict.of_door(door)
  if door.error then return of_error(door.error) end
  if door.without_tls then
    return { safe = false, exit = problem.UNAVAILABLE, text = NO_TLS }
  end
  if not door.login.would_use then return without_mechanism(door) end
  if door.login.error then return of_error(door.login.error) end
  return { safe = true, exit = 0, text = ("a safe login is possible by %s")
    :format(door.login.would_use) }
end

-- A port at which somebody answers says more than one where nobody does. The
-- one login of a run speaks for all ports: who was refused by it is not let in
-- because another port was not asked.
local function rank(door, its)
  if door.login.ok ~= nil then return 4 end
  if its.safe then return 3 end
  if door.greeting or door.refusal then return 2 end
  return (door.error and door.error.kind == "tls") and 1 or 0
end

--- Of all ports that were asked: the best one's.
-- @treturn table the same, and `url`
function verdict.of_all(doors)
  local best, found = -1, nil
  for _, door in ipairs(doors) do
    local its = verdict.of_door(door)
    if rank(door, its) > best then
      best = rank(door, its)
      found = its
      found.url = door:url()
    end
  end
  return found
end

return verdict
