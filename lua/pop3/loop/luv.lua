--- Waiting in libuv's loop: connections with `loop = "luv"` give way to it, in
-- whatever coroutine they are used, and are resumed by its callbacks. The main
-- thread cannot give way: there it is an error.
--
-- @module pop3.loop.luv

local core = require "pop3.core"
local library = require "pop3.loop.library"

local Loop = {}

-- luv calls back in the thread that loaded it (1.44: whatever that one does by
-- then, which ends in a crash): it has to be the main one.
local function is_coroutine()
  local thread, is_main = coroutine.running()
  return thread and not is_main
end

if not package.loaded.luv and is_coroutine() then
  error('loop = "luv" finds no luv yet, and must not load it in a coroutine: '
    .. 'require "luv" in the main thread first', 0)
end

local uv = library.find("luv", "pop3.loop.luv")

-- A descriptor that another coroutine has closed is never ready. Look at the
-- connection from time to time, seconds.
local LONGEST = 5

-- Handles are stopped and used again: one for each number of a descriptor, a
-- timer and an idle for each waiter. (luv 1.44 crashes in a process that ends
-- while handles are being closed.)
local polls = {}

-- Who waits for a descriptor, by its number.
local waiters = {}

-- Waiters that nobody needs now: what a wait needs is made once.
local unused = {}

--- Hear of the error that ends a coroutine which a wait has resumed. This one
-- raises it in libuv's callback, where luv prints it and ends the process.
-- @param err
-- @tparam thread thread
function Loop.on_error(err, thread)
  if type(err) == "string" then err = debug.traceback(thread, err) end
  error(err, 0)
end

-- It waits no more, and may be somebody else's from now on.
local function release(waiter)
  local fds = waiter.fds
  waiter.thread = nil -- it holds no coroutine
  waiter.handle:stop()
  for i = #fds, 1, -1 do
    local fd = fds[i]
    polls[fd].handle:stop()
    fds[i], waiters[fd] = nil, nil
  end
  unused[#unused + 1] = waiter
end

-- Let the coroutine go on, once.
local function wake(waiter)
  local thread = waiter and waiter.thread
  if not thread then return end
  release(waiter)
  local ok, err = coroutine.resume(thread)
  if not ok then Loop.on_error(err, thread) end
end

local function new_waiter()
  local waiter = { fds = {}, timer = uv.new_timer(), idle = uv.new_idle() }
  function waiter.wake() wake(waiter) end
  return waiter
end

local function take_waiter()
  local count = #unused
  local waiter = unused[count] or new_waiter()
  unused[count] = nil
  return waiter
end

local function new_poll(fd)
  return {
    handle = assert(uv.new_poll(fd)),
    wake = function() wake(waiters[fd]) end,
  }
end

local function watch(waiter, fd, events)
  wake(waiters[fd]) -- of a descriptor that was closed
  local poll = polls[fd] or new_poll(fd)
  polls[fd] = poll
  assert(poll.handle:start(events, poll.wake))
  waiters[fd] = waiter
  waiter.fds[#waiter.fds + 1] = fd
end

-- The others' turn is one round of the loop: timers that are over would come
-- before any descriptor, again and again.
local function give_way(waiter)
  waiter.handle = waiter.idle
  waiter.idle:start(waiter.wake)
end

local function set_timer(waiter, seconds)
  local milliseconds = math.max(1, math.ceil(seconds * 1000))
  waiter.handle = waiter.timer
  uv.update_time()
  waiter.timer:start(milliseconds, 0, waiter.wake)
end

--- Why the caller cannot wait where it is, or nil.
function Loop.unusable()
  if is_coroutine() then return nil end
  return "a connection with loop = \"luv\" waits in a coroutine, this is the "
    .. "main thread: use coroutine.wrap(function() ... end)()"
end

--- Wait until a descriptor is ready or the deadline is over.
-- @tparam table interests `{ { fd, "r" | "w" | "rw" }, ... }`; none: give way
-- @tparam number deadline on the clock of `pop3.now`
function Loop:wait(interests, deadline)
  local problem = self.unusable()
  -- In the midst of a call, a sink's or an iterator's.
  if problem then error(core.misplaced(problem), 0) end
  local waiter = take_waiter()
  for i = 1, #interests do
    watch(waiter, interests[i][1], interests[i][2])
  end
  waiter.thread = coroutine.running()
  local seconds = deadline - core.now()
  if seconds > LONGEST then seconds = LONGEST end
  if #interests == 0 and seconds <= 0 then
    give_way(waiter)
  else
    set_timer(waiter, seconds)
  end
  coroutine.yield()
  if waiter.thread then release(waiter) end -- it was somebody else's doing
end

return Loop
