--- Signals that end the program, as errors: what was begun can be undone.
--
-- luaposix runs a handler from a debug hook and keeps its errors to itself, so
-- the handler leaves a hook of its own, which raises at the next instruction.
-- The first signal is the only one: the clean-up is not to be cut short.
--
-- @module pop3.cli.interrupt

local signal = require "posix.signal"

local interrupt = {}

local NAMES = { "SIGINT", "SIGTERM", "SIGHUP" }

local Interrupt = {}

local function ignore_all()
  for _, name in ipairs(NAMES) do
    signal.signal(signal[name], signal.SIG_IGN)
  end
end

local function on_signal(number)
  ignore_all()
  local err = setmetatable({ exit = 128 + number }, Interrupt)
  if interrupt.loop then interrupt.loop:stop(err) end
  debug.sethook(function()
    debug.sethook()
    error(err, 0)
  end, "crl", 1)
end

--- From now on a signal is an error.
function interrupt.install()
  for _, name in ipairs(NAMES) do
    signal.signal(signal[name], on_signal)
  end
end

--- A signal ends this loop as well, whatever it runs just then.
function interrupt.stops(loop) interrupt.loop = loop end

--- Writing to a closed pipe or over a limit is an error, not a death.
function interrupt.survive_writes()
  signal.signal(signal.SIGPIPE, signal.SIG_IGN)
  signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
end

--- The exit code (128 and the signal's number) if `err` is a signal.
function interrupt.exit_code(err)
  return getmetatable(err) == Interrupt and err.exit or nil
end

return interrupt
