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
  local wait, mode = self.wait, self.mode
  local wanted = wait and not wait.over
    and (mode == direction or mode == "rw")
  if wanted then return nil, "timeout" end
  return 1
end

-- Copas 1.1.7 closes what a thread waited for last.
function Watch.close() end

local watches = {}

local function watch(interest, wait)
  local fd = interest[1]
  local object = watches[fd]
  if not object then
    object = setmetatable({ fd = fd }, Watch)
    watches[fd] = object
  end
  object.wait, object.mode = wait, interest[2]
  return object
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

-- What our thread waits for if it reads nothing at first.
local function stand_in_for(wait)
  return setmetatable({ fd = stand_in, mode = "r", wait = wait }, Watch)
end

-- Watch all interests. Returns the object that our thread waits for.
local function watch_all(wait)
  local own
  for i = 1, #wait.interests do
    local interest = wait.interests[i]
    local object, mode = watch(interest, wait), interest[2]
    if mode ~= "r" then help(object, "send") end
    if i == 1 and mode ~= "w" then
      own = object
    elseif mode ~= "w" then
      help(object, "receive")
    end
  end
  return own or stand_in_for(wait)
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
  local wait = { interests = interests, deadline = deadline, over = false }
  copas.receive(watch_all(wait), 1)
  for i = 1, #interests do watch(interests[i], nil) end
end

return Loop
