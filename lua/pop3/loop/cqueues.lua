--- Waiting in cqueues: connections with `loop = "cqueues"` give way to the
-- other coroutines of the controller that runs them. Outside of a controller
-- they block.
--
-- @module pop3.loop.cqueues

local core = require "pop3.core"
local library = require "pop3.loop.library"
local unpack = require("pop3.compat").unpack

local Loop = {}

local cqueues = library.find("cqueues", "pop3.loop.cqueues")

-- A descriptor that another coroutine has closed is never ready. Look at the
-- connection from time to time, seconds.
local LONGEST = 5

-- What cqueues.poll takes: an object that says what to watch.
local function watch(interest)
  return { pollfd = interest[1], events = interest[2] }
end

-- A controller remembers what it watches by number. Before a wait, because that
-- may have been a descriptor that somebody closed in the midst of one; and
-- behind it, because the connection may close it now.
local function forget(controller, interests)
  for _, interest in ipairs(interests) do controller:cancel(interest[1]) end
end

--- Wait until a descriptor is ready or the deadline is over.
-- @tparam table interests `{ { fd, "r" | "w" | "rw" }, ... }`; none: give way
-- @tparam number deadline on the clock of `pop3.now`
function Loop.wait(_, interests, deadline)
  local controller = cqueues.running()
  local seconds = math.min(deadline - core.now(), LONGEST)
  if not controller then
    core.poll(interests, seconds)
    return
  end
  local list = {}
  for i, interest in ipairs(interests) do list[i] = watch(interest) end
  list[#list + 1] = math.max(seconds, 0)
  forget(controller, interests)
  cqueues.poll(unpack(list))
  forget(controller, interests)
end

return Loop
