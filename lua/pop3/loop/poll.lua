--- Several connections in one process, on poll(2): a loop that needs nothing
-- but this module.
--
--     local loop = require("pop3.loop.poll").new()
--     for _, host in ipairs(hosts) do
--       loop:spawn(function()
--         local M = pop3.POP3_SSL(host, { loop = loop })
--         ...
--       end)
--     end
--     loop:run()
--
-- Each function runs as a coroutine and gives way while its connection waits,
-- or when it yields by itself.
-- (PUC Lua 5.1 cannot give way inside `pcall`, nor in the iterator of a `for`:
-- use `pop3.safe` and `:next()` there.)
--
-- @classmod pop3.loop.poll

local class = require "pop3.class"
local core = require "pop3.core"
local unpack = require("pop3.compat").unpack

-- The module itself is a loop without tasks.
--
-- `tasks`: coroutine -> what its function is called with; `ready`: those that
-- go on; `waiting` and `deadlines`: coroutine -> what for, and until when. The
-- other lists are empty but while they are used: a list that is made anew for
-- each turn costs more than what is done with it.
local Loop = { tasks = {} }
local meta = class("pop3.loop.poll", Loop)

local NOTHING = { n = 0 }

-- The loop whose task runs: the one that is meant by `loop = "poll"`.
local current

--- @treturn pop3.loop.poll a loop without tasks
function Loop.new()
  return setmetatable({
    tasks = {}, ready = {}, spare = {},
    waiting = {}, deadlines = {}, interests = {}, owners = {},
  }, meta)
end

-- The loop that runs the coroutine, if it is this one.
local function is_task(self)
  local thread = coroutine.running()
  return thread ~= nil and self.tasks[thread] ~= nil, thread
end

--- Wait until a descriptor is ready or the deadline is over: what connections
-- with `loop = loop` do, or with `loop = "poll"` in a task of any such loop.
-- Outside of the loop's tasks it simply blocks.
-- @tparam table interests `{ { fd, "r" | "w" | "rw" }, ... }`
-- @tparam number deadline on the clock of `pop3.now`
function Loop:wait(interests, deadline)
  local loop = self == Loop and current or self
  local inside, thread = is_task(loop)
  if not inside then
    core.poll(interests, deadline - core.now())
    return
  end
  loop.waiting[thread], loop.deadlines[thread] = interests, deadline
  coroutine.yield()
end

--- Run a function as soon as the loop runs.
-- @tparam function fn
-- @param ... its arguments
-- @treturn thread
function Loop:spawn(fn, ...)
  local thread = coroutine.create(fn)
  self.tasks[thread] = { n = select("#", ...), ... }
  self.ready[#self.ready + 1] = thread
  return thread
end

-- Go on with one task, until it waits or ends.
local function resume(self, thread)
  local outer, given = current, self.tasks[thread]
  current, self.tasks[thread] = self, NOTHING
  local ok, err = coroutine.resume(thread, unpack(given, 1, given.n))
  current = outer
  if coroutine.status(thread) ~= "dead" then
    if not self.waiting[thread] then -- it let others have their turn
      self.ready[#self.ready + 1] = thread
    end
    return
  end
  self.tasks[thread] = nil
  if not ok and self.failed == nil then self.failed = { err } end
end

-- Those that are ready by now; what becomes so meanwhile has its turn later.
local function resume_ready(self)
  local ready = self.ready
  self.ready, self.spare = self.spare or {}, nil
  for i = 1, #ready do
    local thread = ready[i]
    ready[i] = nil
    if not self.stopped then resume(self, thread) end
  end
  self.spare = ready
end

-- All interests, whose they are, and the first deadline.
local function survey(self)
  local interests, owners, first = self.interests, self.owners, math.huge
  local count = 0
  for thread, wanted in pairs(self.waiting) do
    for i = 1, #wanted do
      count = count + 1
      interests[count], owners[count] = wanted[i], thread
    end
    local deadline = self.deadlines[thread]
    if deadline < first then first = deadline end
  end
  return interests, owners, first
end

local function clear(list)
  for i = #list, 1, -1 do list[i] = nil end
end

local function wake(self, thread)
  if not self.waiting[thread] then return end
  self.waiting[thread], self.deadlines[thread] = nil, nil
  self.ready[#self.ready + 1] = thread
end

local function poll(self)
  local interests, owners, first = survey(self)
  local seconds = #self.ready > 0 and 0 or first - core.now()
  local found = core.poll(interests, seconds)
  for i = 1, #found do wake(self, owners[found[i]]) end
  clear(interests)
  clear(owners)
  local now = core.now()
  if now < first then return end
  for thread, deadline in pairs(self.deadlines) do
    if deadline <= now then wake(self, thread) end
  end
end

local function forget(self)
  self.ready, self.waiting, self.deadlines, self.tasks = {}, {}, {}, {}
end

--- Stop: `run` raises `err` as soon as the task that runs has given way. No
-- task is resumed again, this one neither; who has their connections closes
-- them. For signal handlers, and for a task that knows better.
-- @param err what `run` raises
function Loop:stop(err) self.stopped = { err } end

--- Run until all tasks have ended. An error that ended one of them is raised
-- when the others have ended, too.
function Loop:run()
  if is_task(self) then
    error("bad call to 'run' (the loop is running this task already)", 2)
  end
  while next(self.tasks) and not self.stopped do
    resume_ready(self)
    if next(self.waiting) and not self.stopped then poll(self) end
  end
  local raised = self.stopped or self.failed
  if self.stopped then forget(self) end
  self.stopped, self.failed = nil, nil
  if raised then error(raised[1], 0) end
end

return Loop
