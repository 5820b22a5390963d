--- What a person sees of a fetch, on stderr: a bar on a terminal, a line for
-- each message otherwise. Nothing here fails: a lost progress bar is no reason
-- to lose mail.
--
-- @module pop3.cli.progress

local time = require "posix.time"
local unistd = require "posix.unistd"

local Progress = {}
Progress.__index = Progress

local BAR = 20              -- characters inside the brackets
local SECONDS_BETWEEN = 0.05 -- terminals are slower than mail
local LARGE = 65536          -- octets of a message that may take a while
local CLEAR_LINE = "\r\27[K"

local UNITS = { "octets", "KiB", "MiB", "GiB", "TiB" }

--- 1234567 → "1.2 MiB"
local function amount(octets)
  local unit = 1
  while octets >= 1024 and unit < #UNITS do
    octets, unit = octets / 1024, unit + 1
  end
  return (unit == 1 and "%d %s" or "%.1f %s"):format(octets, UNITS[unit])
end

local function now()
  local t = time.clock_gettime(time.CLOCK_MONOTONIC)
  return t.tv_sec + t.tv_nsec / 1e9
end

local function is_terminal()
  return unistd.isatty(2) == 1 and os.getenv("TERM") ~= "dumb"
end

--- @tparam number messages how many there are
-- @tparam number octets of all of them, as the server says
-- @tparam[opt] boolean quiet show nothing
function Progress.start(messages, octets, quiet)
  local style = quiet and "none" or is_terminal() and "bar" or "lines"
  return setmetatable({
    style = style,
    messages = messages,
    total = octets,
    message = 0,
    stored = 0,
    octets = 0,
    partial = 0,
    began = now(),
    drawn = -math.huge,
  }, Progress)
end

function Progress:text()
  local seconds = math.max(now() - self.began, 0.001)
  local octets = self.octets + self.partial
  local share = math.min(octets / math.max(self.total, 1), 1)
  local full = math.floor(share * BAR)
  return ("[%s%s] %d/%d  %s of %s  %s/s"):format(
    ("#"):rep(full), ("."):rep(BAR - full), self.message, self.messages,
    amount(octets), amount(math.max(self.total, octets)),
    amount(octets / seconds))
end

function Progress:draw(always)
  if self.style ~= "bar" then return end
  local t = now()
  if not always and t - self.drawn < SECONDS_BETWEEN then return end
  self.drawn = t
  local columns = tonumber(os.getenv("COLUMNS")) or 80
  io.stderr:write(CLEAR_LINE, self:text():sub(1, columns - 1))
end

--- Message `n` is being fetched. One that takes time is shown at once.
function Progress:begin(n, octets)
  self.message = n
  self:draw(octets >= LARGE)
end

--- So many octets of the message are here.
function Progress:advance(octets)
  self.partial = octets
  self:draw()
end

--- The message is stored.
function Progress:done(octets)
  self.partial = 0
  self.octets = self.octets + octets
  self.stored = self.stored + 1
  self:draw()
  if self.style == "lines" then
    io.stderr:write(("%d/%d: %d octets\n"):format(
      self.message, self.messages, octets))
  end
end

--- The end of the bar; what follows starts on a line of its own.
function Progress:finish()
  if self.style ~= "bar" or self.finished then return end
  self.finished = true
  self:draw(true)
  io.stderr:write("\n")
end

--- "40 messages, 1.2 MiB"
function Progress:summary()
  return ("%d %s, %s"):format(self.stored,
    self.stored == 1 and "message" or "messages", amount(self.octets))
end

return Progress
