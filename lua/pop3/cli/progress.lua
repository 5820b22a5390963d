--- What a person sees of a fetch, on stderr: a bar on a terminal, a line for
-- each message otherwise. Nothing here fails: a lost progress bar is no reason
-- to lose mail.
--
-- One bar for all accounts. What is to come is what the server announced; what
-- is here is what was stored, whatever had been announced. So the bar never
-- claims more than there is, and is full when all is here.
--
-- @module pop3.cli.progress

local time = require "posix.time"
local unistd = require "posix.unistd"

local Progress = {}
Progress.__index = Progress

--- The part of one account.
local Meter = {}
Meter.__index = Meter

local BAR = 20              -- characters inside the brackets
local SECONDS_BETWEEN = 0.05 -- terminals are slower than mail
local CLEAR_LINE = "\r\27[K"

local UNITS = { "octets", "KiB", "MiB", "GiB", "TiB" }

--- 1234567 → "1.2 MiB"
local function amount(octets)
  if octets == 1 then return "1 octet" end
  local unit = 1
  while octets >= 1024 and unit < #UNITS do
    octets, unit = octets / 1024, unit + 1
  end
  return (unit == 1 and "%d %s" or "%.1f %s"):format(octets, UNITS[unit])
end

local function counted(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

local function now()
  local t = time.clock_gettime(time.CLOCK_MONOTONIC)
  return t.tv_sec + t.tv_nsec / 1e9
end

local function is_terminal()
  return unistd.isatty(2) == 1 and os.getenv("TERM") ~= "dumb"
end

-- ------------------------------------------------------------ the bar

--- @tparam number accounts
-- @tparam[opt] boolean quiet show nothing
function Progress.start(accounts, quiet)
  local style = quiet and "none" or is_terminal() and "bar" or "lines"
  return setmetatable({
    style = style,
    accounts = accounts,
    ended = 0,     -- accounts
    messages = 0,  -- to fetch, of all accounts that are known
    stored = 0,    -- of them
    octets = 0,    -- of those that are stored
    partial = 0,   -- of those that are on their way
    announced = 0, -- of those that are not stored
    drawn = -math.huge,
  }, Progress)
end

-- The share of the octets; of the messages where no octets were announced.
local function share(self, here, total)
  if total > 0 then return here / total end
  return self.messages > 0 and self.stored / self.messages or 1
end

function Progress:text()
  local here = self.octets + self.partial
  local total = self.octets + math.max(self.partial, self.announced)
  local full = math.floor(share(self, here, total) * BAR)
  -- Full is only what is complete.
  if self.stored < self.messages then full = math.min(full, BAR - 1) end
  local seconds = math.max(now() - (self.began or now()), 0.001)
  local text = ("[%s%s] %d/%d  %s of %s  %s/s"):format(
    ("#"):rep(full), ("."):rep(BAR - full), self.stored, self.messages,
    amount(here), amount(total), amount(math.floor(here / seconds)))
  if self.accounts == 1 then return text end
  return ("%s  accounts %d/%d"):format(text, self.ended, self.accounts)
end

function Progress:draw(always)
  if self.style ~= "bar" or self.finished then return end
  local t = now()
  if not always and t - self.drawn < SECONDS_BETWEEN then return end
  self.drawn = t
  local columns = tonumber(os.getenv("COLUMNS")) or 80
  io.stderr:write(CLEAR_LINE, self:text():sub(1, columns - 1))
end

--- A whole line, above the bar. Problems are shown even if `quiet`.
function Progress:say(line)
  local drawn = self.style == "bar" and self.began and not self.finished
  io.stderr:write(drawn and CLEAR_LINE or "", line)
  if drawn then self:draw(true) end
end

--- The end of the bar; what follows starts on a line of its own.
function Progress:finish()
  if self.style ~= "bar" or self.finished or not self.began then return end
  self:draw(true)
  self.finished = true
  io.stderr:write("\n")
end

--- "40 messages, 1.2 MiB"
function Progress:summary()
  return counted(self.stored, "message") .. ", " .. amount(self.octets)
end

-- ------------------------------------------------------------ one account

--- The part of an account.
-- @tparam[opt] string name where there are several
function Progress:meter(name)
  return setmetatable({
    all = self, prefix = name and name .. " " or "",
    messages = 0, stored = 0, octets = 0, partial = 0, size = 0,
  }, Meter)
end

--- This is to be fetched.
-- @tparam number messages
-- @tparam number octets of all of them, as the server says
function Meter:plan(messages, octets)
  local all = self.all
  self.messages = messages
  all.messages = all.messages + messages
  all.announced = all.announced + octets
  all.began = all.began or now()
  all:draw()
end

-- So much of it is here. What it has in excess of what was announced is
-- announced by being here.
local function set_partial(self, octets)
  local all, before = self.all, self.partial
  local excess = math.max(octets, self.size) - math.max(before, self.size)
  self.partial = octets
  all.partial = all.partial + octets - before
  all.announced = all.announced + excess
end

-- It will not come, or not now.
local function drop(self) set_partial(self, 0) end

--- A message is on its way.
-- @tparam number size octets that the server announced
function Meter:begin(size)
  drop(self)
  self.size = size
  self.all:draw()
end

--- So many octets of the message are here.
function Meter:advance(octets)
  set_partial(self, octets)
  self.all:draw()
end

--- The message is stored.
function Meter:done(octets)
  local all = self.all
  drop(self)
  all.announced, self.size = all.announced - self.size, 0
  all.octets, self.octets = all.octets + octets, self.octets + octets
  all.stored, self.stored = all.stored + 1, self.stored + 1
  all:draw()
  if all.style == "lines" then
    io.stderr:write(("%s%d/%d: %s\n"):format(self.prefix, self.stored,
      self.messages, counted(octets, "octet")))
  end
end

--- Nothing more will come of this account.
function Meter:finish()
  if self.finished then return end
  self.finished = true
  drop(self)
  self.all.ended = self.all.ended + 1
  self.all:draw()
end

Meter.summary = Progress.summary

return Progress
