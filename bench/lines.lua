-- One RETR of a large message into a table of lines: prints CPU seconds and
-- peak resident memory in KiB. Usage: lua lines.lua PORT

local pop3 = require "pop3"

local function peak()
  for line in io.lines("/proc/self/status") do
    local size = line:match("^VmHWM:%s+(%d+)")
    if size then return tonumber(size) end
  end
end

local conn = pop3.POP3("127.0.0.1", tonumber(arg[1]), { max_octets = 0 })
local before = os.clock()
local _, lines, octets = conn:retr(1)
local seconds = os.clock() - before
conn:quit()
print(("%.3f %d %d %d"):format(seconds, peak(), #lines, octets))
