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

-- What cqueues.poll takes, by mode and number: objects that say what to watch.
-- They know of nobody who waits.
local watches = { r = {}, w = {}, rw = {} }

local function watch(interest)
  local fd, mode = interest[1], interest[2]
  local found = watches[mode][fd]
  if not found then
    found = { pollfd = fd, events = mode }
    watches[mode][fd] = found
  end
  return found
end

-- A controller remembers what it watches by number. Before a wait, because that
-- may have been a descriptor that somebody closed in the midst of one; and
-- behind it, because the connection may close it now.
local function forget(controller, interests)
  for i = 1, #interests do controller:cancel(interests[i][1]) end
end

--- Wait until a descriptor is ready or the deadline is over.
-- @tparam table interests `{ { fd, "r" | "w" | "rw" }, ... }`; none: give way
-- @tparam number deadline on the clock of `pop3.now`
function Loop.wait(_, interests, deadline)
  local controller = cqueues.running()
  local seconds = deadline - core.now()
  if seconds > LONGEST then seconds = LONGEST end
  if not controller then
    core.poll(interests, seconds)
    return
  end
  local list = { seconds > 0 and seconds or 0, nil, nil, nil }
  for i = 1, #interests do list[i + 1] = watch(interests[i]) end
  forget(controller, interests)
  cqueues.poll(unpack(list, 1, 1 + #interests))
  forget(controller, interests)
end

return Loop
