--- Several jobs at once in one process, on pop3.loop.poll.
--
-- A job is a function. It is called with `try`, a pcall whose function may wait
-- in every Lua (PUC Lua 5.1 cannot yield inside of pcall), and with the loop
-- for its connection. One job alone needs none: it waits where it is.
--
-- @module pop3.cli.jobs

local poll = require "pop3.loop.poll"
local interrupt = require "pop3.cli.interrupt"

local jobs = {}

-- Run a function as a coroutine of its own, and hand what it waits for to
-- `wait`.
local function conduct(wait, fn, ...)
  local inner = coroutine.create(fn)
  local ok, a, b = coroutine.resume(inner, ...)
  while coroutine.status(inner) ~= "dead" do
    wait(a, b) -- interests, deadline
    ok, a, b = coroutine.resume(inner)
  end
  return ok, a, b
end

local function try(fn, ...) return conduct(coroutine.yield, fn, ...) end

-- What connections see: it hands on to the innermost `conduct`.
local inside = {}
function inside.wait(_, interests, deadline)
  coroutine.yield(interests, deadline)
end

--- Run them all, at most `most` at the same time. They handle their errors; a
-- signal ends all.
-- @tparam table list functions, called as (try, loop)
-- @tparam number most
function jobs.run(list, most)
  if #list == 1 then return list[1](pcall) end
  local loop = poll.new()
  local at = 0
  local function work() -- one after the other
    while at < #list do
      at = at + 1
      list[at](try, inside)
    end
  end
  local function wait(interests, deadline) loop:wait(interests, deadline) end
  for _ = 1, math.min(most, #list) do
    loop:spawn(function()
      local ok, err = conduct(wait, work)
      if not ok then error(err, 0) end
    end)
  end
  interrupt.stops(loop)
  loop:run()
end

return jobs
