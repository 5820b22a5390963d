--- Waiting in Copas: connections with `loop = "copas"` give way to the other
-- threads of its loop. Outside of a thread they block.
--
-- Copas waits for objects like LuaSocket's, for one direction of one object in
-- each thread. Ours waits for an object to be "dirty", which select asks before
-- it waits; helper threads make select look at the other descriptors.
--
-- Deadlines are met to a tenth of a second by Copas 4. Copas 1.1.7 (Debian 12)
-- has no timers: there they are met when something happens, or with
-- `copas.loop(seconds)`.
--
-- @module pop3.loop.copas

local core = require "pop3.core"
local library = require "pop3.loop.library"

local Loop = {}

local copas = library.find("copas", "pop3.loop.copas")

-- Always there and never readable: what select is shown in place of others. The
-- socket is kept.
local socket = assert(require("socket").udp4())
local stand_in = socket:getfd()

-- ------------------------------------------------------------ objects

-- A wait that is over: its time, or a descriptor is ready (or was closed: then
-- select must not see it).
local function is_over(wait)
  wait.over = wait.over or core.now() >= wait.deadline
    or #core.poll(wait.interests, 0) > 0
  return wait.over
end

-- A descriptor as Copas wants to see it. One object for each number, because
-- select tells them apart by that. `wait`: for whom it is watched; `mode`: in
-- which directions.
local Watch = {}
Watch.__index = Watch

function Watch:getfd()
  if not self.wait then return -1 end
  return is_over(self.wait) and stand_in or self.fd
end

function Watch:dirty() return self.wait ~= nil and self.wait.over end

-- What copas.receive and copas.send call again until it is not too early.
function Watch:receive() return self:try "r" end
function Watch:send() return self:try "w" end

function Watch:try(direction)
  local wanted = self.wait and not self.wait.over
    and self.mode:find(direction, 1, true)
  if wanted then return nil, "timeout" end
  return 1
end

-- Copas 1.1.7 closes what a thread waited for last.
function Watch.close() end

local watches = {}

local function watch(interest, wait)
  local fd = interest[1]
  watches[fd] = watches[fd] or setmetatable({ fd = fd }, Watch)
  watches[fd].wait, watches[fd].mode = wait, interest[2]
  return watches[fd]
end

-- ------------------------------------------------------------ waiting

-- A thread that makes Copas look at a descriptor in one direction. One that an
-- earlier wait has left is as good.
local function help(object, direction)
  if object[direction] then return end
  object[direction] = true
  copas.addthread(function()
    copas[direction](object, 1)
    object[direction] = nil
  end)
end

-- Watch all interests. Returns the object that our thread waits for.
local function watch_all(wait)
  local own = setmetatable({ fd = stand_in, mode = "r", wait = wait }, Watch)
  for i, interest in ipairs(wait.interests) do
    local object, reads = watch(interest, wait), interest[2]:find "r"
    if interest[2]:find "w" then help(object, "send") end
    if i == 1 and reads then
      own = object
    elseif reads then
      help(object, "receive")
    end
  end
  return own
end

--- Wait until a descriptor is ready or the deadline is over.
-- @tparam table interests `{ { fd, "r" | "w" | "rw" }, ... }`; none: give way
-- @tparam number deadline on the clock of `pop3.now`
function Loop.wait(_, interests, deadline)
  local thread, is_main = coroutine.running()
  if not thread or is_main then
    core.poll(interests, deadline - core.now())
    return
  end
  local wait = { interests = interests, deadline = deadline }
  copas.receive(watch_all(wait), 1)
  for _, interest in ipairs(interests) do watch(interest, nil) end
end

return Loop
