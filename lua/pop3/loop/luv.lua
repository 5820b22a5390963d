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

-- Handles are stopped and used again: one for each number of a descriptor, and
-- timers and idles that nobody needs now. (luv 1.44 crashes in a process that
-- ends while handles are being closed.)
local polls, timers, idles = {}, {}, {}

-- Who waits for a descriptor, by its number.
local waiters = {}

--- Hear of the error that ends a coroutine which a wait has resumed. This one
-- raises it in libuv's callback, where luv prints it and ends the process.
-- @param err
-- @tparam thread thread
function Loop.on_error(err, thread)
  if type(err) == "string" then err = debug.traceback(thread, err) end
  error(err, 0)
end

local function release(waiter)
  local kept = waiter.kept
  waiter.handle:stop()
  kept[#kept + 1] = waiter.handle
  for _, fd in ipairs(waiter.fds) do
    polls[fd]:stop()
    waiters[fd] = nil
  end
end

-- Let the coroutine go on, once.
local function wake(waiter)
  local thread = waiter.thread
  if not thread then return end
  waiter.thread = nil -- a handle that is kept holds no coroutine
  release(waiter)
  local ok, err = coroutine.resume(thread)
  if not ok then Loop.on_error(err, thread) end
end

local function watch(waiter, fd, events)
  local before = waiters[fd] -- for a descriptor that was closed
  if before then wake(before) end
  polls[fd] = polls[fd] or assert(uv.new_poll(fd))
  assert(polls[fd]:start(events, function() wake(waiter) end))
  waiters[fd] = waiter
  waiter.fds[#waiter.fds + 1] = fd
end

-- The others' turn is one round of the loop: timers that are over would come
-- before any descriptor, again and again.
local function give_way(waiter)
  waiter.kept, waiter.handle = idles, table.remove(idles) or uv.new_idle()
  waiter.handle:start(function() wake(waiter) end)
end

local function set_timer(waiter, seconds)
  local milliseconds = math.max(1, math.ceil(seconds * 1000))
  waiter.kept, waiter.handle = timers, table.remove(timers) or uv.new_timer()
  uv.update_time()
  waiter.handle:start(milliseconds, 0, function() wake(waiter) end)
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
  local waiter = { thread = coroutine.running(), fds = {} }
  for _, interest in ipairs(interests) do
    watch(waiter, interest[1], interest[2])
  end
  local seconds = math.min(deadline - core.now(), LONGEST)
  if #interests == 0 and seconds <= 0 then
    give_way(waiter)
  else
    set_timer(waiter, seconds)
  end
  coroutine.yield()
  if not waiter.thread then return end
  waiter.thread = nil -- somebody else has resumed us: nobody waits any more
  release(waiter)
end

return Loop
