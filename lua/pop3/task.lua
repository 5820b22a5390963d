--- Plain sequential code in a host that has a frame to draw: a function runs as
-- a coroutine, some octets and some fractions of a second at a time.
--
--     local task = pop3.start(function()
--       local M = pop3.POP3_SSL("mail.example.org", { context = context })
--       M:login("joe", password)
--       return (M:stat())
--     end)
--
--     function update()
--       local state, count = task:step() -- "waiting", "done" or "failed"
--     end
--
-- Every connection that is used while a step runs waits for the next step,
-- whoever made it; none blocks. (PUC Lua 5.1 cannot give way inside `pcall`,
-- nor in the iterator of a `for`: use `pop3.safe` and `:next()` there.)
--
-- @classmod pop3.task

local core = require "pop3.core"
local call = require "pop3.call"
local class = require "pop3.class"
local host = require "pop3.host"
local unpack = require("pop3.compat").unpack

-- What a step may take, unless it is told: octets, seconds.
local OCTETS, SECONDS = 65536, 0.001

local CANCELLED = "the task was cancelled"
local FOREIGN = "pop3: this coroutine is not the task's own, so it cannot wait "
  .. "here: connect and call in the function that pop3.start was given, or "
  .. "start another task"

local Task = {}
local meta = class("pop3.task", Task)

-- All that there are.
local tasks = setmetatable({}, { __mode = "k" })

-- The task whose step runs, the innermost one.
local current

-- ------------------------------------------------------------ waiting

-- Does the task's own coroutine run?
local function is_own()
  return coroutine.running() == current.thread
end

-- The loop of connections that a task makes, and of those which have none,
-- while a step runs.
local steps = {}
call.steps = steps

-- Why the coroutine that runs cannot wait, or nil.
function steps.unusable()
  if current and not is_own() then return FOREIGN end
end

-- What every connection does that has to wait while a step runs; after the last
-- step it simply blocks.
function steps.wait(_, interests, deadline, conn)
  local task = current
  if not task then
    core.regrant() -- one that somebody made by hand would never end
    core.poll(interests, deadline - core.now())
    return
  end
  -- In the midst of a call, a sink's or an iterator's.
  if not is_own() then error(core.misplaced(FOREIGN), 0) end
  task.connections[conn] = true
  task.interests, task.deadline = interests, deadline
  coroutine.yield()
end

host.add_finder(function() return current and steps end, function(conn)
  if current then current.connections[conn] = true end
end)

-- ------------------------------------------------------------ the end

local function pack(...) return { n = select("#", ...), ... } end

local close_thread = coroutine.close -- luacheck: ignore 143

local function answer(self)
  return unpack(self.answer, 1, self.answer.n)
end

-- Close what it has; a coroutine that will not run again closes, where Lua can,
-- what it wanted closed at the end.
local function drop(self)
  local thread = self.thread
  for conn in pairs(self.connections) do conn:close() end
  if coroutine.status(thread) ~= "suspended" then return end
  self.thread, self.interests = nil, nil
  if close_thread then close_thread(thread) end
end

-- The coroutine gave way, or has ended.
local function take(self, ok, ...)
  if self.answer then return drop(self) end -- it has cancelled itself
  if coroutine.status(self.thread) ~= "dead" then return end
  self.answer = ok and pack("done", ...) or pack("failed", (...))
  self.thread, self.connections = nil, nil
end

-- ------------------------------------------------------------ a step

local function is_ready(self)
  if core.now() >= self.deadline then return true end
  return #core.poll(self.interests, 0) > 0
end

-- Go on until there is nothing to do, or nothing more may be done now; or the
-- function has yielded by itself.
local function go_on(self)
  repeat
    self.interests = nil
    take(self, coroutine.resume(self.thread))
    local interests = self.interests
  until not interests or #interests == 0 or not is_ready(self)
end

-- Whatever happens in it, what was before it goes on after it.
local function run(self, octets, seconds)
  local outer = current
  local limit, till = core.grant(octets, seconds)
  current = self
  local ok, err = pcall(go_on, self)
  current = outer
  core.regrant(limit, till)
  if not ok then error(err, 0) end
end

local function is_amount(value)
  return value == nil or type(value) == "number" and value >= 0
end

local function check_self(self, method)
  if tasks[self] then return end
  error(("bad self to '%s' (pop3 task expected, got %s: call it with a colon)")
    :format(method, type(self)), 3)
end

--- Go on, but never wait, and for no longer than asked. One operation that
-- cannot be divided is always made: a handshake's answer, or the string of
-- a message that is complete. See docs/frames.md.
-- @tparam[opt=65536] number octets to receive at most
-- @tparam[opt=0.001] number seconds
-- @treturn string "waiting": call again in the next frame; "done", and what the
-- function returned; "failed", and what it raised, unchanged. Called after the
-- end it says the same again
function Task:step(octets, seconds)
  check_self(self, "step")
  if not is_amount(octets) then
    call.bad_argument(1, "step", "octets, 0 or more,", octets)
  end
  if not is_amount(seconds) then
    call.bad_argument(2, "step", "seconds, 0 or more,", seconds)
  end
  if self.answer then return answer(self) end
  if coroutine.status(self.thread) ~= "suspended" then
    error("bad call to 'step' (this task's step is running already)", 2)
  end
  if self.interests and not is_ready(self) then return "waiting" end
  run(self, octets or OCTETS, seconds or SECONDS)
  if self.answer then return answer(self) end
  return "waiting"
end

--- End the task: its connections are closed, without `QUIT`, and `step` says
-- "failed" with an error of the kind `aborted`. Nothing after the end. A task
-- that cancels itself ends as soon as it gives way.
function Task:cancel()
  check_self(self, "cancel")
  if self.answer then return end
  self.answer = pack("failed", core.aborted(CANCELLED))
  drop(self)
end

function meta:__tostring()
  return ("pop3.task (%s)"):format(self.answer and self.answer[1] or "waiting")
end

--- Make a task of a function; it runs from the first step on.
-- @tparam function fn
-- @param ... its arguments
-- @treturn pop3.task
return function(fn, ...)
  if type(fn) ~= "function" then
    call.bad_argument(1, "start", "function", fn)
  end
  local arguments = pack(...)
  local thread = coroutine.create(function()
    return fn(unpack(arguments, 1, arguments.n))
  end)
  local task = setmetatable({
    thread = thread, connections = setmetatable({}, { __mode = "k" }),
  }, meta)
  tasks[task] = true
  return task
end
