-- A LÖVE program that fetches a mailbox while something moves: plain POP3 code,
-- run a piece in each frame.
--
--     POP3_PASSWORD=… love examples/love mail.example.org 995 joe [--quit]
--
-- --quit: end when it is done, with a line that says what was fetched.

local pop3 = require "pop3"

-- Certificates are loaded now, while nobody expects a frame.
local context = pop3.context()

local mails = {}
local progress = { octets = 0, total = 0 }
local frames, angle = 0, 0
local task, state, failure, quits

-- Keeps a message; counts what has come of it.
local function receiver(number)
  local pieces = {}
  return function(piece)
    if piece then
      pieces[#pieces + 1] = piece
      progress.octets = progress.octets + #piece
    else
      mails[number] = table.concat(pieces)
    end
  end
end

-- As one would write it in any script.
local function fetch(host, port, user)
  local M = pop3.POP3_SSL(host, port, { context = context })
  M:login(user, os.getenv "POP3_PASSWORD")
  local listing = M:listing()
  progress.total = listing:octets()
  local count = M:retr_many(listing:numbers(), { sink = receiver })
  M:quit()
  return count
end

function love.load(arguments)
  local host, port, user, option = unpack(arguments)
  quits = option == "--quit"
  task = pop3.start(fetch, host, tonumber(port), user)
end

local function finish(result)
  failure = state == "failed" and tostring(result) or nil
  if not quits then return end
  print(failure or ("%d messages, %d octets, %d frames"):format(result,
    progress.octets, frames))
  love.event.quit(failure and 1 or 0)
end

function love.update(seconds)
  frames, angle = frames + 1, angle + 3 * seconds
  if state == "done" or state == "failed" then return end
  local result
  state, result = task:step(65536, 0.001) -- 64 KiB or 1 ms, whichever is first
  if state ~= "waiting" then finish(result) end
end

function love.draw()
  local width, height = love.graphics.getDimensions()
  local part = progress.total > 0 and progress.octets / progress.total or 0
  love.graphics.setBackgroundColor(0.10, 0.11, 0.14)
  love.graphics.setColor(0.95, 0.75, 0.30)
  love.graphics.arc("fill", width / 2, 80, 36, angle, angle + 5)
  love.graphics.setColor(0.25, 0.27, 0.33)
  love.graphics.rectangle("fill", 40, 160, width - 80, 18, 9)
  love.graphics.setColor(0.35, 0.75, 0.45)
  local filled = (width - 80) * math.min(part, 1)
  love.graphics.rectangle("fill", 40, 160, filled, 18, 9)
  love.graphics.setColor(1, 1, 1)
  love.graphics.printf(failure or ("%s: %d mails, %.0f %%"):format(
    state or "waiting", #mails, 100 * part), 40, height - 45, width - 80,
    "center")
end

-- The window was closed: no QUIT, no waiting.
function love.quit() task:cancel() end
